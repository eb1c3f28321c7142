{{ config(meta={'dagster': {'ref': {'name': 'int_ltv_order_days'}}}) }}
-- What the models of customer value see adds up to the kept orders with a customer, to the cent.
with

order_days as (

    select coalesce(sum(net_amount), 0) as net_amount

    from {{ ref('int_ltv_order_days') }}

),

orders as (

    select coalesce(sum(net_amount), 0) as net_amount

    from {{ ref('fct_orders') }}
    where
        is_kept
        and customer_id is not null

)

select
    order_days.net_amount as order_days_net_amount,
    orders.net_amount as orders_net_amount

from order_days
cross join orders
where order_days.net_amount <> orders.net_amount
