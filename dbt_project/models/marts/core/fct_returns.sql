{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_orders', 'columns': ['order_id']}]}
) }}

with

returned as (

    select * from {{ ref('stg_shop__returns') }}

),

lines as (

    select
        order_line_id,
        order_id,
        tax_rate

    from {{ ref('stg_shop__order_lines') }} as lines
    {{ semi_join_touched('int_touched_orders', 'lines', ['order_id']) }}

),

orders as (

    select
        order_id,
        customer_id,
        order_date,
        fx_rate

    from {{ ref('int_orders_enriched') }}

),

tax_basis as (

    select coalesce(max(prices_include_tax), false) as prices_include_tax
    from {{ source('control', 'source_tables') }}
    where table_name = 'order_lines'

),

final as (

    select
        returned.return_id,
        returned.order_line_id,
        lines.order_id,
        orders.customer_id,

        returned.returned_at,
        returned.return_date,
        orders.order_date,

        returned.returned_quantity,
        case
            when tax_basis.prices_include_tax
                then {{ convert_amount_without_tax('returned.refund_amount', 'orders.fx_rate', 'lines.tax_rate') }}
            else {{ convert_amount('returned.refund_amount', 'orders.fx_rate') }}
        end as returned_amount

    from returned
    inner join lines on returned.order_line_id = lines.order_line_id
    inner join orders on lines.order_id = orders.order_id
    cross join tax_basis

)

select * from final
