{{ config(
    pre_hook="{{ remember_touched('exchange_rates', ['currency', 'rate_date']) }}",
    meta={'touched_by': [{'table': 'control.touched_exchange_rates', 'columns': ['currency', 'rate_date']}]}
) }}

with

current_rows as (

    {{ current_rows('exchange_rates', key=['currency', 'rate_date']) | indent(4) }}

),

final as (

    select
        currency,

        rate,

        rate_date,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
