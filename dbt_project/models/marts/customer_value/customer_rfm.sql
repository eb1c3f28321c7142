with

snapshots as (

    select * from {{ ref('customer_rfm_monthly') }}

),

latest as (

    select max(snapshot_date) as snapshot_date from snapshots

),

final as (

    select snapshots.*

    from snapshots
    inner join latest on snapshots.snapshot_date = latest.snapshot_date

)

select * from final
