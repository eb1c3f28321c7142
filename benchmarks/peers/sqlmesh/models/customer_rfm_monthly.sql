model (name mart.customer_rfm_monthly, kind full);

with
ends as (
    select cast(last_day(month) as date) as snapshot_date
    from unnest(generate_series(timestamp '2023-01-01', timestamp '2025-12-01', interval 1 month)) as months(month)
),
measured as (
    select
        e.snapshot_date, o.customer_id, e.snapshot_date - max(o.order_date) as recency_days,
        count(*) filter (where o.order_date > e.snapshot_date - interval 24 month) as frequency,
        coalesce(sum(o.net_amount) filter (where o.order_date > e.snapshot_date - interval 24 month), 0) as monetary
    from ends as e
    join mart.fct_orders as o on o.order_date <= e.snapshot_date and o.is_kept
    group by e.snapshot_date, o.customer_id
),
scored as (
    select
        *,
        least(5, 1 + floor(5 * percent_rank() over (partition by snapshot_date order by -recency_days))) as r_score,
        least(5, 1 + floor(5 * percent_rank() over (partition by snapshot_date order by frequency))) as f_score,
        least(5, 1 + floor(5 * percent_rank() over (partition by snapshot_date order by monetary))) as m_score
    from measured
)
select
    *,
    case
        when r_score <= 2 and f_score <= 2 then 'hibernating' when r_score <= 2 and f_score <= 4 then 'at_risk'
        when r_score <= 2 then 'cant_lose' when r_score = 3 and f_score <= 2 then 'about_to_sleep'
        when r_score = 3 and f_score = 3 then 'need_attention' when r_score <= 4 and f_score >= 4 then 'loyal'
        when r_score = 4 and f_score = 1 then 'promising' when r_score = 5 and f_score = 1 then 'new'
        when f_score <= 3 then 'potential_loyalist' else 'champion'
    end as segment
from scored
