with

account as (

    select * from {{ ref('int_account') }}

),

sides as (

    select
        step,
        table_name,
        measure,
        currency,
        sum(case when side = 'left' then amount else 0 end) as left_value,
        sum(case when side = 'right' then amount else 0 end) as right_value,
        sum(case when side = 'excluded' then amount else 0 end) as excluded_value

    from account
    -- a consent has no fact of its own
    where table_name <> 'consents' or step <> 'staging_to_facts'
    group by step, table_name, measure, currency

),

final as (

    select
        step,
        table_name,
        measure,
        currency,
        cast(left_value as decimal(28, 4)) as left_value,
        cast(right_value as decimal(28, 4)) as right_value,
        cast(excluded_value as decimal(28, 4)) as excluded_value,
        cast(left_value - right_value - excluded_value as decimal(28, 4)) as difference

    from sides

)

select * from final
