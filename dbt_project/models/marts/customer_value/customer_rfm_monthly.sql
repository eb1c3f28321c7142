with

states as (

    select * from {{ ref('int_customer_rfm_states') }}

),

bounds as (

    select * from {{ ref('int_rfm_score_bounds') }}

),

segment_grid as (

    select * from {{ ref('rfm_segment_grid') }}

),

state_months as (

    select
        *,
        {{ integer_series('from_month', 'until_month') }} as snapshot_month

    from states

),

-- a customer's month before is its state's, or the state before in the state's first month
snapshots as (

    select
        customer_id,
        snapshot_month,
        last_order_date,
        frequency,
        monetary,
        case when snapshot_month = from_month then previous_last_order_date else last_order_date end
            as previous_last_order_date,
        case when snapshot_month = from_month then previous_frequency else frequency end as previous_frequency

    from state_months

),

scored as (

    select
        snapshots.customer_id,
        bounds.snapshot_date,
        snapshots.last_order_date,
        snapshots.frequency,
        snapshots.monetary,
        {{ rfm_score('snapshots.last_order_date', 'bounds', 'recency') }} as r_score,
        {{ rfm_score('snapshots.frequency', 'bounds', 'frequency') }} as f_score,
        {{ rfm_score('snapshots.monetary', 'bounds', 'monetary') }} as m_score,
        case
            when snapshots.previous_frequency is not null
                then {{ rfm_score('snapshots.previous_last_order_date', 'previous_bounds', 'recency') }}
        end as previous_r_score,
        case
            when snapshots.previous_frequency is not null
                then {{ rfm_score('snapshots.previous_frequency', 'previous_bounds', 'frequency') }}
        end as previous_f_score

    from snapshots
    inner join bounds on snapshots.snapshot_month = bounds.snapshot_month
    left join bounds as previous_bounds on snapshots.snapshot_month = previous_bounds.snapshot_month + 1

),

final as (

    select
        scored.customer_id,
        scored.snapshot_date,
        cast({{ days_between('scored.last_order_date', 'scored.snapshot_date') }} as integer) as recency_days,
        scored.frequency,
        scored.monetary,
        scored.r_score,
        scored.f_score,
        scored.m_score,
        cast(scored.r_score * 100 + scored.f_score * 10 + scored.m_score as {{ dbt.type_string() }}) as rfm_code,
        segment_grid.segment,
        previous_grid.segment as previous_segment

    from scored
    left join segment_grid
        on
            scored.r_score = segment_grid.r_score
            and scored.f_score = segment_grid.f_score
    left join segment_grid as previous_grid
        on
            scored.previous_r_score = previous_grid.r_score
            and scored.previous_f_score = previous_grid.f_score

)

select * from final
