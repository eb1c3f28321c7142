{{ config(meta={'dagster': {'ref': {'name': 'rfm_migration_monthly'}}}) }}
-- Per month end: customers of the snapshot before + new ones = customers of the snapshot + those who left.
with

populations as (

    select
        snapshot_date,
        count(*) as customers

    from {{ ref('customer_rfm_monthly') }}
    group by snapshot_date

),

moves as (

    select
        snapshot_date,
        sum(case when previous_segment is not null then customers else 0 end) as opening,
        sum(case when previous_segment is null then customers else 0 end) as arrived,
        sum(case when segment is null then customers else 0 end) as departed,
        sum(case when segment is not null then customers else 0 end) as closing

    from {{ ref('rfm_migration_monthly') }}
    group by snapshot_date

),

final as (

    select
        moves.*,
        populations.customers as population,
        before.customers as population_before

    from populations
    left join moves on populations.snapshot_date = moves.snapshot_date
    left join populations as before
        on populations.snapshot_date = last_day({{ add_days('before.snapshot_date', 1) }})
    where
        moves.snapshot_date is null
        or moves.opening + moves.arrived <> moves.closing + moves.departed
        or moves.closing <> populations.customers
        or moves.opening <> coalesce(before.customers, 0)

)

select * from final
