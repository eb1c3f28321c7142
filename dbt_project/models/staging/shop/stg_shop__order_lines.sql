{{ config(
    pre_hook="{{ remember_touched('order_lines', ['order_line_id'], carry=['order_id']) }}",
    meta={'touched_by': [{'table': 'control.touched_order_lines', 'columns': ['order_line_id']}]}
) }}

with

current_rows as (

    {{ current_rows('order_lines', key=['order_line_id']) | indent(4) }}

),

final as (

    select
        order_line_id,
        order_id,
        product_id,

        quantity,
        unit_price,
        gross_amount as line_amount,
        discount_amount,
        coalesce(tax_rate, 0) as tax_rate,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
