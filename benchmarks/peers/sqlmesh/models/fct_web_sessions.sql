model (name mart.fct_web_sessions, kind full);

with
marked as (
    select
        *,
        coalesce(event_ts - lag(event_ts) over (partition by visitor_id order by event_ts, event_id) > interval 30 minute, true) as begins
    from read_parquet(@landing || '/web_events/*.parquet')
),
numbered as (
    select
        *,
        count(*) filter (where begins) over (partition by visitor_id order by event_ts, event_id rows unbounded preceding) as session_no
    from marked
)
select
    visitor_id, session_no, max(customer_id) as customer_id, min(event_ts) as started_at, max(event_ts) as ended_at,
    count(*) filter (where event_type = 'page_view') as page_views,
    count(*) filter (where event_type = 'product_view') as product_views,
    count(*) filter (where event_type = 'add_to_cart') as add_to_carts,
    count(*) filter (where event_type = 'purchase') as purchases,
    arg_min(utm_source, event_ts) as utm_source, max(campaign_id) as campaign_id, arg_min(page_path, event_ts) as landing_page,
    any_value(device) as device
from numbered
group by visitor_id, session_no
