{{ config(
    materialized='incremental',
    meta={
        'touched_by': [
            {'table': 'intermediate.int_touched_orders', 'columns': ['order_id']},
            {'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}
        ],
        'referenced': ['order_id']
    }
) }}

with

orders as (

    select *

    from {{ ref('int_orders_enriched') }}
    {{ where_touched({'order_id': 'int_touched_orders', 'customer_id': 'int_touched_buyers'}) }}

),

line_totals as (

    select
        lines.order_id,
        sum(quantity) as quantity,
        sum(returned_quantity) as returned_quantity,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(tax_amount) as tax_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(cost_amount) as cost_amount,
        sum(margin_amount) as margin_amount

    from {{ ref('fct_order_lines') }} as lines
    {{ semi_join_touched('orders', 'lines', ['order_id']) }}
    group by lines.order_id

),

numbered as (

    select
        order_id,
        row_number() over earlier_orders as order_number,
        {{ days_between('lag(order_date) over earlier_orders', 'order_date') }} as days_since_previous_order

    from orders
    where is_kept and customer_id is not null
    window earlier_orders as (partition by customer_id order by ordered_at, order_id)

),

final as (

    select
        orders.order_id,
        orders.customer_id,
        orders.channel_id,
        orders.campaign_id,

        orders.order_date,
        orders.ordered_at,
        orders.cancelled_date,

        orders.line_count,
        cast(coalesce(line_totals.quantity, 0) as decimal(18, 3)) as quantity,
        cast(coalesce(line_totals.returned_quantity, 0) as decimal(18, 3)) as returned_quantity,

        cast(coalesce(line_totals.gross_amount, 0) as decimal(18, 2)) as gross_amount,
        cast(coalesce(line_totals.discount_amount, 0) as decimal(18, 2)) as discount_amount,
        cast(coalesce(line_totals.tax_amount, 0) as decimal(18, 2)) as tax_amount,
        cast(coalesce(line_totals.returned_amount, 0) as decimal(18, 2)) as returned_amount,
        cast(coalesce(line_totals.net_amount, 0) as decimal(18, 2)) as net_amount,
        cast(line_totals.cost_amount as decimal(18, 2)) as cost_amount,
        cast(line_totals.margin_amount as decimal(18, 2)) as margin_amount,

        orders.currency,
        orders.fx_rate,
        orders.coupon_code,

        orders.is_test,
        orders.is_cancelled,
        orders.is_kept,

        numbered.order_number,
        coalesce(numbered.order_number = 1, false) as is_first_order,
        numbered.days_since_previous_order

    from orders
    left join line_totals on orders.order_id = line_totals.order_id
    left join numbered on orders.order_id = numbered.order_id

)

select * from final
