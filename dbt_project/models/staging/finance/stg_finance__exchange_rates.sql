with

current_rows as (

    {{ current_rows('exchange_rates', key=['currency', 'rate_date']) | indent(4) }}

),

final as (

    select
        currency,

        rate,

        rate_date

    from current_rows

)

select * from final
