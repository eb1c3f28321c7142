{{ config(
    materialized='incremental',
    pre_hook="{{ remember_last(
        'buyers', this, {'customer_id': dbt.type_string()}, 'intermediate.int_touched_orders', ['order_id']
    ) }}",
    meta={'touched_by': [{'table': 'intermediate.int_touched_orders', 'columns': ['order_id']}]}
) }}

with

orders as (

    select orders.*

    from {{ ref('stg_shop__orders') }} as orders
    {{ semi_join_touched('int_touched_orders', 'orders', ['order_id']) }}

),

lines as (

    select
        order_line_id,
        order_id,
        quantity

    from {{ ref('stg_shop__order_lines') }} as lines
    {{ semi_join_touched('int_touched_orders', 'lines', ['order_id']) }}

),

returned as (

    select
        returned.order_line_id,
        sum(returned.returned_quantity) as returned_quantity

    from {{ ref('stg_shop__returns') }} as returned
    {{ semi_join_touched('lines', 'returned', ['order_line_id']) }}
    group by returned.order_line_id

),

identity as (

    select * from {{ ref('int_customer_identity') }}

),

guests as (

    select
        source_id as order_id,
        customer_id

    from {{ ref('int_record_identity') }}
    where record_kind = 'guest_order'

),

rates as (

    select * from {{ ref('int_exchange_rates_applied') }}

),

orders_with_goods as (

    select
        lines.order_id,
        count(*) as line_count,
        -- not everything came back: goods of a line stayed, or nothing was returned at all (a line of a coupon or a service
        -- has no quantity)
        max(case when coalesce(returned.returned_quantity, 0) < lines.quantity then 1 else 0 end) = 1
        or max(coalesce(returned.returned_quantity, 0)) = 0 as has_goods_kept

    from lines
    left join returned on lines.order_line_id = returned.order_line_id
    group by lines.order_id

),

final as (

    select
        orders.order_id,
        coalesce(identity.customer_id, guests.customer_id) as customer_id,
        orders.channel_id,
        orders.campaign_id,

        orders.currency,
        orders.coupon_code,

        rates.fx_rate,
        coalesce(orders_with_goods.line_count, 0) as line_count,

        orders.is_test,
        orders.is_cancelled,
        (
            not orders.is_test
            and not orders.is_cancelled
            and coalesce(orders_with_goods.has_goods_kept, false)
        ) as is_kept,

        orders.ordered_at,
        orders.order_date,
        orders.cancelled_date

    from orders
    left join identity on orders.customer_id = identity.source_customer_id
    left join guests on orders.order_id = guests.order_id
    left join rates
        on
            orders.currency = rates.currency
            and orders.order_date = rates.applied_date
    left join orders_with_goods on orders.order_id = orders_with_goods.order_id

)

select * from final
