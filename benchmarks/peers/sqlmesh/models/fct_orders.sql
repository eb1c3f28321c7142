model (name mart.fct_orders, kind full);

with
orders as (
    select
        order_id, any_value(customer_id) as customer_id, any_value(channel_id) as channel_id, any_value(order_ts) as ordered_at,
        cast(any_value(order_ts) as date) as order_date, any_value(is_kept) as is_kept, sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount, sum(margin_amount) as margin_amount
    from mart.fct_order_lines
    group by order_id
)
select
    *,
    case when is_kept then row_number() over (partition by customer_id, is_kept order by ordered_at, order_id) end as order_number,
    case when is_kept then order_date - lag(order_date) over (partition by customer_id, is_kept order by ordered_at, order_id) end
        as days_since_previous_order
from orders
