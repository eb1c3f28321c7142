model (name mart.fct_order_lines, kind full);

select
    l.order_id, l.line_no, o.order_ts, o.customer_id, c.customer_key, l.product_id, o.channel_id, o.campaign_id, l.quantity,
    cast(l.quantity * l.unit_price as decimal(18, 2)) as gross_amount,
    cast(l.quantity * l.unit_price * (1 - l.discount_rate) as decimal(18, 2)) as net_amount,
    cast(l.quantity * p.unit_cost as decimal(18, 2)) as cost_amount,
    cast(l.quantity * l.unit_price * (1 - l.discount_rate) as decimal(18, 2)) - cast(l.quantity * p.unit_cost as decimal(18, 2)) as margin_amount,
    o.status = 'completed' as is_kept
from read_parquet(@landing || '/order_lines/*.parquet') as l
join read_parquet(@landing || '/orders/*.parquet') as o on o.order_id = l.order_id
join mart.dim_customer as c on c.customer_id = o.customer_id and o.order_ts >= c.valid_from and o.order_ts < c.valid_to
join mart.dim_product as p on p.product_id = l.product_id
