with

snapshots as (

    select * from {{ ref('customer_rfm_monthly') }}

),

moves as (

    select
        snapshot_date,
        previous_segment,
        segment,
        count(*) as customers,
        sum(monetary) as monetary

    from snapshots
    group by snapshot_date, previous_segment, segment

),

-- the population of a month end opens the next month
openings as (

    select
        last_day({{ add_days('snapshot_date', 1) }}) as snapshot_date,
        segment as previous_segment,
        sum(customers) as customers

    from moves
    group by snapshot_date, segment

),

still_here as (

    select
        snapshot_date,
        previous_segment,
        sum(customers) as customers

    from moves
    where previous_segment is not null
    group by snapshot_date, previous_segment

),

latest as (

    select max(snapshot_date) as snapshot_date from moves

),

-- customers all of whose orders were cancelled or sent back since: few, and known by difference
leavers as (

    select
        openings.snapshot_date,
        openings.previous_segment,
        cast(null as {{ dbt.type_string() }}) as segment,
        openings.customers - coalesce(still_here.customers, 0) as customers,
        0 as monetary

    from openings
    inner join latest on openings.snapshot_date <= latest.snapshot_date
    left join still_here
        on
            openings.snapshot_date = still_here.snapshot_date
            and openings.previous_segment = still_here.previous_segment
    where openings.customers <> coalesce(still_here.customers, 0)

),

combined as (

    select * from moves

    union all

    select * from leavers

),

final as (

    select
        snapshot_date,
        previous_segment,
        segment,
        cast(customers as bigint) as customers,
        cast(monetary as decimal(18, 2)) as monetary

    from combined

)

select * from final
