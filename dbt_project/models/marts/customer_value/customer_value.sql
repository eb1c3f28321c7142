{#
    An order counts on its own date, at its value net of all its returns known at the release, so that the sums over
    customers are the sums over fct_orders.
#}
with

orders as (

    select * from {{ ref('fct_orders') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

dated_orders as (

    select
        orders.customer_id,
        orders.order_date,
        orders.gross_amount,
        orders.net_amount,
        orders.margin_amount,
        run_parameters.as_of_date,
        min(orders.order_date) over (partition by orders.customer_id) as first_order_date

    from orders
    cross join run_parameters
    where
        orders.is_kept
        and orders.customer_id is not null

),

windowed_orders as (

    select
        *,
        order_date > {{ add_months('as_of_date', -12) }} as is_in_last_12m,
        order_date > {{ add_months('as_of_date', -24) }} as is_in_last_24m,
        order_date > {{ add_months('as_of_date', -36) }} as is_in_last_36m,
        order_date < {{ add_months('first_order_date', 12) }} as is_in_first_12m,
        order_date < {{ add_months('first_order_date', 24) }} as is_in_first_24m,
        order_date < {{ add_months('first_order_date', 36) }} as is_in_first_36m

    from dated_orders

),

customers as (

    select
        customer_id,
        max(as_of_date) as as_of_date,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(*) as orders,

        {{ sum_known('gross_amount', 'is_in_last_12m') }} as value_12m_gross,
        {{ sum_known('net_amount', 'is_in_last_12m') }} as value_12m_net,
        {{ sum_known('margin_amount', 'is_in_last_12m') }} as value_12m_margin,
        {{ sum_known('gross_amount', 'is_in_last_24m') }} as value_24m_gross,
        {{ sum_known('net_amount', 'is_in_last_24m') }} as value_24m_net,
        {{ sum_known('margin_amount', 'is_in_last_24m') }} as value_24m_margin,
        {{ sum_known('gross_amount', 'is_in_last_36m') }} as value_36m_gross,
        {{ sum_known('net_amount', 'is_in_last_36m') }} as value_36m_net,
        {{ sum_known('margin_amount', 'is_in_last_36m') }} as value_36m_margin,

        {{ sum_known('net_amount', 'is_in_first_12m') }} as first_12m_net,
        {{ sum_known('margin_amount', 'is_in_first_12m') }} as first_12m_margin,
        {{ sum_known('net_amount', 'is_in_first_24m') }} as first_24m_net,
        {{ sum_known('margin_amount', 'is_in_first_24m') }} as first_24m_margin,
        {{ sum_known('net_amount', 'is_in_first_36m') }} as first_36m_net,
        {{ sum_known('margin_amount', 'is_in_first_36m') }} as first_36m_margin,

        {{ sum_known('gross_amount') }} as lifetime_gross,
        {{ sum_known('net_amount') }} as lifetime_net,
        {{ sum_known('margin_amount') }} as lifetime_margin

    from windowed_orders
    group by customer_id

),

final as (

    select
        *,
        {{ add_months('first_order_date', 12) }} <= {{ add_days('as_of_date', 1) }} as is_first_12m_complete,
        {{ add_months('first_order_date', 24) }} <= {{ add_days('as_of_date', 1) }} as is_first_24m_complete,
        {{ add_months('first_order_date', 36) }} <= {{ add_days('as_of_date', 1) }} as is_first_36m_complete

    from customers

)

select * from final
