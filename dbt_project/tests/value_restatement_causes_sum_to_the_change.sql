-- Fails with the changes of published figures whose causes do not add up to them.
select
    release_id,
    table_name,
    period_start,
    channel_id,
    metric

from {{ ref('kpi_restatements') }}
group by
    release_id,
    table_name,
    period_start,
    channel_id,
    metric
having
    sum(effect) <> max(coalesce(new_value, 0)) - max(coalesce(old_value, 0))
    or count(distinct coalesce(new_value, 0)) + count(distinct coalesce(old_value, 0)) > 2
