with

latest as (

    select max(snapshot_date) as snapshot_date from {{ ref('customer_rfm_monthly') }}

),

final as (

    select snapshots.*

    from {{ ref('customer_rfm_monthly') }} as snapshots
    inner join latest on snapshots.snapshot_date = latest.snapshot_date

)

select * from final
