{{ config(meta={
    'dagster': {'ref': {'name': 'order_attribution'}},
    'by_key': {'tables': ['order_attribution'], 'key': 'order_id', 'replaced_in': ['order_attribution', 'fct_orders']}
}) }}
-- Shares of each order and model sum to 1 and its amounts to the order's; attributed + unattributed = the net amount of all kept orders.
with

orders as (

    select * from {{ ref('fct_orders') }}

),

attributed as (

    select
        order_id,
        model,
        sum(share) as shares,
        min(share) as smallest_share,
        sum(sold_amount) as sold_amount,
        sum(returned_amount) as returned_amount,
        sum(attributed_net_amount) as net_amount,
        sum(attributed_margin) as margin_amount

    from {{ ref('order_attribution') }}
    group by order_id, model

),

broken_orders as (

    select
        attributed.order_id as what,
        attributed.model,
        attributed.shares,
        attributed.net_amount,
        orders.net_amount as expected_net_amount

    from attributed
    left join orders on attributed.order_id = orders.order_id
    where
        orders.order_id is null
        or not orders.is_kept
        or attributed.shares <> 1
        or attributed.smallest_share < 0
        or attributed.sold_amount <> orders.gross_amount - orders.discount_amount
        or attributed.returned_amount <> orders.returned_amount
        or attributed.net_amount <> orders.net_amount
        or attributed.margin_amount <> orders.margin_amount

),

all_kept as (

    select
        count(*) as orders,
        sum(net_amount) as net_amount

    from orders
    where is_kept

),

all_months as (

    select
        model,
        sum(orders) as orders,
        sum(net_amount) as net_amount

    from {{ ref('attribution_monthly') }}
    group by model

),

broken_totals as (

    select
        'all orders' as what,
        all_months.model,
        all_months.orders as shares,
        all_months.net_amount,
        all_kept.net_amount as expected_net_amount

    from all_months
    cross join all_kept
    where
        all_months.net_amount <> all_kept.net_amount
        or all_months.orders <> all_kept.orders

),

final as (

    select * from broken_orders
    union all
    select * from broken_totals

)

select * from final
