with

account as (

    select * from {{ ref('int_account') }}

),

final as (

    select
        step,
        table_name,
        reason,
        currency,
        measure,
        cast(sum(amount) as decimal(28, 4)) as excluded_value

    from account
    where side = 'excluded'
    group by step, table_name, reason, currency, measure
    having sum(amount) <> 0

)

select * from final
