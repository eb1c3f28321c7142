{#
    What each customer bought on each business day; several orders of a day count as one. The margin is null where the cost of
    any of the day's orders is unknown. In order, as the models of customer value want it: sorted once here, not by each of them. A night
    appends the customers that it touches, in order among themselves.
#}
{{ config(
    materialized='incremental',
    pre_hook="create or replace table control.touched_ltv_customers as
        select {{ number_of_customer('customer_id') }} as customer_number from {{ ref('int_touched_buyers') }}",
    meta={'touched_by': [{'table': 'control.touched_ltv_customers', 'columns': ['customer_number']}]}
) }}

with

orders as (

    select * from {{ ref('fct_orders') }}
    {{ where_touched({'customer_id': 'int_touched_buyers'}) }}

),

customers as (

    select * from {{ ref('int_ltv_customers') }}

),

final as (

    select
        customers.customer_number,
        orders.order_date,
        -- in 18 digits: what is wider is read ten times slower
        cast(sum(orders.net_amount) as decimal(18, 2)) as net_amount,
        cast(case when count(orders.margin_amount) = count(*) then sum(orders.margin_amount) end as decimal(18, 2)) as margin_amount

    from orders
    inner join customers on orders.customer_id = customers.customer_id
    where orders.is_kept
    group by customers.customer_number, orders.order_date

)

select * from final
order by customer_number, order_date
