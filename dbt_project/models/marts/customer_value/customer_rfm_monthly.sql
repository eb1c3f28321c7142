{{ config(
    materialized='incremental',
    meta={'of_closed_months': true, 'touched_by': [{'table': 'control.touched_rfm_states_months', 'columns': ['snapshot_date']}]}
) }}

with

states as (

    select * from {{ ref('int_customer_rfm_states') }}
    {% if touched_only() -%}
        where until_month >= (select min(snapshot_month) from {{ touched_relation('control.touched_rfm_states_months') }})
    {%- endif %}

),

bounds as (

    select * from {{ ref('int_rfm_score_bounds') }}

),

{{ rfm_segment_cells() }},

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
        account_number,
        market,
        case when snapshot_month = from_month then previous_market else market end as previous_market,
        snapshot_month,
        last_order_date,
        frequency,
        monetary,
        case when snapshot_month = from_month then previous_last_order_date else last_order_date end
            as previous_last_order_date,
        case when snapshot_month = from_month then previous_monetary else monetary end as previous_monetary,
        case when snapshot_month = from_month then previous_frequency else frequency end as previous_frequency

    from state_months
    {{ semi_join_touched('control.touched_rfm_states_months', 'state_months', ['snapshot_month']) }}

),

scored as (

    select
        snapshots.customer_id,
        snapshots.market,
        bounds.snapshot_date,
        snapshots.last_order_date,
        snapshots.frequency,
        snapshots.monetary,
        {{ rfm_score('snapshots.last_order_date', 'bounds', 'recency', 'snapshots.account_number') }} as r_score,
        {{ rfm_score('snapshots.frequency', 'bounds', 'frequency', 'snapshots.account_number') }} as f_score,
        {{ rfm_score('snapshots.monetary', 'bounds', 'monetary', 'snapshots.account_number') }} as m_score,
        -- not computed where no segment asks for it
        {{ rfm_score('snapshots.previous_monetary', 'previous_bounds', 'monetary', 'snapshots.account_number') }} as previous_m_score,
        case
            when snapshots.previous_frequency is not null
                then {{ rfm_score('snapshots.previous_last_order_date', 'previous_bounds', 'recency', 'snapshots.account_number') }}
        end as previous_r_score,
        case
            when snapshots.previous_frequency is not null
                then {{ rfm_score('snapshots.previous_frequency', 'previous_bounds', 'frequency', 'snapshots.account_number') }}
        end as previous_f_score

    from snapshots
    inner join bounds on {{ rfm_same_population('snapshots', 'bounds') }}
    left join bounds as previous_bounds
        on {{ rfm_same_population('snapshots', 'previous_bounds', market='previous_market', months_later=1) }}

),

final as (

    select
        scored.customer_id,
        scored.snapshot_date,
        cast(nullif(scored.market, '') as {{ dbt.type_string() }}) as market,
        cast({{ days_between('scored.last_order_date', 'scored.snapshot_date') }} as integer) as recency_days,
        scored.frequency,
        scored.monetary,
        scored.r_score,
        scored.f_score,
        scored.m_score,
        cast(scored.r_score * 100 + scored.f_score * 10 + scored.m_score as {{ dbt.type_string() }}) as rfm_code,
        segment_cells.segment,
        previous_cells.segment as previous_segment

    from scored
    left join segment_cells on {{ rfm_is_in_cell('segment_cells') }}
    left join segment_cells as previous_cells on {{ rfm_is_in_cell('previous_cells', prefix='previous_') }}

)

select * from final
