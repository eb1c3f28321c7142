{{ config(severity='error') }}

select
    table_name,
    sum(case when stage = 'staging' then rows else 0 end) as staged_rows,
    sum(case when stage = 'staging' then 0 else rows end) as accounted_rows

from {{ ref('audit_reconciliation') }}
group by table_name
having
    sum(case when stage = 'staging' then rows else -rows end) <> 0
    or sum(case when stage = 'staging' then coalesce(quantity, 0) else -coalesce(quantity, 0) end) <> 0
