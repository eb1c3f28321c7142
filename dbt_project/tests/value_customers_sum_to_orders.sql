{{ config(meta={'dagster': {'ref': {'name': 'customer_value'}}}) }}
-- Over the last 12, 24 and 36 months and the whole history (1200 months), the values of all customers and of the orders
-- without a customer add up to the kept orders, to the cent.
with

horizons as (

    select {{ unnest_integers([12, 24, 36, 1200]) }} as months

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

dated_orders as (

    select
        horizons.months,
        orders.customer_id,
        orders.gross_amount,
        orders.net_amount,
        orders.margin_amount

    from {{ ref('fct_orders') }} as orders
    cross join run_parameters
    inner join horizons on orders.order_date > {{ add_months('run_parameters.as_of_date', '-horizons.months') }}
    where orders.is_kept

),

facts as (

    select
        months,
        sum(gross_amount) as gross,
        sum(net_amount) as net,
        sum(margin_amount) as margin,
        sum(case when customer_id is null then gross_amount else 0 end) as anonymous_gross,
        sum(case when customer_id is null then net_amount else 0 end) as anonymous_net,
        sum(case when customer_id is null then margin_amount else 0 end) as anonymous_margin

    from dated_orders
    group by months

),

customers as (

    select
        12 as months,
        sum(value_12m_gross) as gross,
        sum(value_12m_net) as net,
        sum(value_12m_margin) as margin

    from {{ ref('customer_value') }}

    union all

    select
        24 as months,
        sum(value_24m_gross) as gross,
        sum(value_24m_net) as net,
        sum(value_24m_margin) as margin

    from {{ ref('customer_value') }}

    union all

    select
        36 as months,
        sum(value_36m_gross) as gross,
        sum(value_36m_net) as net,
        sum(value_36m_margin) as margin

    from {{ ref('customer_value') }}

    union all

    select
        1200 as months,
        sum(lifetime_gross) as gross,
        sum(lifetime_net) as net,
        sum(lifetime_margin) as margin

    from {{ ref('customer_value') }}

),

final as (

    select
        customers.months,
        customers.gross as customers_gross,
        customers.net as customers_net,
        customers.margin as customers_margin,
        facts.gross,
        facts.net,
        facts.margin

    from customers
    left join facts on customers.months = facts.months
    where
        coalesce(customers.gross, 0) + coalesce(facts.anonymous_gross, 0) <> coalesce(facts.gross, 0)
        or coalesce(customers.net, 0) + coalesce(facts.anonymous_net, 0) <> coalesce(facts.net, 0)
        or coalesce(customers.margin, 0) + coalesce(facts.anonymous_margin, 0) <> coalesce(facts.margin, 0)

)

select * from final
