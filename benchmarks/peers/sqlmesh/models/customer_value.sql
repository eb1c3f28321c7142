model (name mart.customer_value, kind full);

with
kept as (
    select *, min(order_date) over (partition by customer_id) as first_date
    from mart.fct_orders
    where is_kept
)
select
    customer_id, any_value(first_date) as first_order_date,
    sum(net_amount) filter (where order_date > date '2025-12-31' - interval 12 month) as net_last_12m,
    sum(margin_amount) filter (where order_date > date '2025-12-31' - interval 12 month) as margin_last_12m,
    sum(net_amount) filter (where order_date < first_date + interval 12 month) as net_first_12m,
    sum(margin_amount) filter (where order_date < first_date + interval 12 month) as margin_first_12m,
    sum(net_amount) filter (where order_date > date '2025-12-31' - interval 24 month) as net_last_24m,
    sum(margin_amount) filter (where order_date > date '2025-12-31' - interval 24 month) as margin_last_24m,
    sum(net_amount) filter (where order_date < first_date + interval 24 month) as net_first_24m,
    sum(margin_amount) filter (where order_date < first_date + interval 24 month) as margin_first_24m,
    sum(net_amount) filter (where order_date > date '2025-12-31' - interval 36 month) as net_last_36m,
    sum(margin_amount) filter (where order_date > date '2025-12-31' - interval 36 month) as margin_last_36m,
    sum(net_amount) filter (where order_date < first_date + interval 36 month) as net_first_36m,
    sum(margin_amount) filter (where order_date < first_date + interval 36 month) as margin_first_36m
from kept
group by customer_id
