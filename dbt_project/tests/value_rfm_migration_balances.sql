{{ config(meta={'dagster': {'ref': {'name': 'rfm_migration_monthly'}}}) }}
-- In each month end and segment: customers who open the month in it are those of the snapshot before, customers and monetary value
-- that close it those of the snapshot; and of all segments, opening + new = closing + those who left.
with

populations as (

    select
        snapshot_date,
        segment,
        count(*) as customers,
        sum(monetary) as monetary

    from {{ ref('customer_rfm_monthly') }}
    group by snapshot_date, segment

),

latest as (

    select max(snapshot_date) as snapshot_date from populations

),

moves as (

    select * from {{ ref('rfm_migration_monthly') }}

),

counted as (

    select
        snapshot_date,
        segment,
        customers as closing,
        monetary as closing_monetary,
        0 as opening

    from populations

    union all

    select
        last_day({{ add_days('populations.snapshot_date', 1) }}) as snapshot_date,
        populations.segment,
        0 as closing,
        0 as closing_monetary,
        populations.customers as opening

    from populations
    inner join latest on populations.snapshot_date < latest.snapshot_date

    union all

    select
        snapshot_date,
        segment,
        -customers as closing,
        -monetary as closing_monetary,
        0 as opening

    from moves
    where segment is not null

    union all

    select
        snapshot_date,
        previous_segment as segment,
        0 as closing,
        0 as closing_monetary,
        -customers as opening

    from moves
    where previous_segment is not null

),

totals as (

    select
        snapshot_date,
        sum(case when previous_segment is not null then customers else 0 end) as opening,
        sum(case when previous_segment is null then customers else 0 end) as arrived,
        sum(case when segment is null then customers else 0 end) as departed,
        sum(case when segment is not null then customers else 0 end) as closing

    from moves
    group by snapshot_date

),

final as (

    select
        snapshot_date,
        segment

    from counted
    group by snapshot_date, segment
    having
        sum(closing) <> 0
        or sum(closing_monetary) <> 0
        or sum(opening) <> 0

    union all

    select
        snapshot_date,
        cast(null as {{ dbt.type_string() }}) as segment

    from totals
    where opening + arrived <> closing + departed

)

select * from final
