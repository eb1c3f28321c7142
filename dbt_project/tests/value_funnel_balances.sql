{{ config(meta={'dagster': {'ref': {'name': 'funnel_monthly'}}}) }}
-- Per month end and stage: who opens the month are those who closed the one before; who closes it are the customers of the lifecycle
-- and the unknown visitors; those with a kept order are the indicators' known customers. Moves are those that the seed allows.
with

moves as (

    select * from {{ ref('funnel_monthly') }}

),

latest as (

    select max(snapshot_date) as snapshot_date from moves

),

transitions as (

    select * from {{ ref('lifecycle_transitions') }}

),

balances as (

    select
        snapshot_date,
        stage,
        people as opening,
        0 as closing_before,
        0 as closing,
        0 as population

    from moves
    where stage is not null

    union all

    select
        last_day({{ add_days('moves.snapshot_date', 1) }}) as snapshot_date,
        moves.next_stage as stage,
        0 as opening,
        moves.people as closing_before,
        0 as closing,
        0 as population

    from moves
    inner join latest on moves.snapshot_date < latest.snapshot_date
    where moves.next_stage is not null

    union all

    select
        snapshot_date,
        next_stage as stage,
        0 as opening,
        0 as closing_before,
        people - unknown_visitors as closing,
        0 as population

    from moves
    where next_stage is not null

    union all

    select
        snapshot_date,
        stage,
        0 as opening,
        0 as closing_before,
        0 as closing,
        1 as population

    from {{ ref('customer_lifecycle_monthly') }}

),

buyers as (

    select
        snapshot_date,
        sum(people) as customers

    from moves
    where next_stage in ('new_customer', 'active', 'growing', 'at_risk', 'lapsed', 'lost', 'reactivated')
    group by snapshot_date

),

final as (

    select
        'opening and closing' as fault,
        snapshot_date,
        stage,
        cast(null as {{ dbt.type_string() }}) as next_stage

    from balances
    group by snapshot_date, stage
    having
        sum(opening) <> sum(closing_before)
        or sum(closing) <> sum(population)

    union all

    select
        'known customers' as fault,
        indicators.period_end as snapshot_date,
        cast(null as {{ dbt.type_string() }}) as stage,
        cast(null as {{ dbt.type_string() }}) as next_stage

    from {{ ref('kpi_monthly') }} as indicators
    left join buyers on indicators.period_end = buyers.snapshot_date
    where
        indicators.channel_id is null
        and indicators.is_complete
        and indicators.known_customers <> coalesce(buyers.customers, 0)

    union all

    select
        'a move that is not allowed' as fault,
        moves.snapshot_date,
        moves.stage,
        moves.next_stage

    from moves
    left join transitions
        on
            coalesce(moves.stage, '') = coalesce(transitions.stage, '')
            and moves.next_stage = transitions.next_stage
    where
        moves.next_stage is not null
        and transitions.next_stage is null

)

select * from final
