{#
    score = 1 + floor(5 * percent_rank), at most 5, and percent_rank = customers with a lower value / (customers - 1). The
    score depends on the value alone, so four bounds replace a sort of the whole population, and equal values cannot part.
    All in whole numbers: nothing is rounded. Recency is ranked by the date of the last kept order, which orders a
    snapshot's customers exactly as -recency_days does. Settings may put cut points in place of ranks, rank within markets, or
    split ties (docs/how-to/rfm-options.md).
#}
{{ check_rfm_settings() -}}
{{ config(
    materialized='incremental',
    meta={'of_closed_months': true, 'touched_by': [{'table': 'control.touched_rfm_states_months', 'columns': ['snapshot_month']}]}
) }}

with

{{ rfm_ranked_states() }},

{{ rfm_bounds('recency', 'last_order_date') }},

{{ rfm_bounds('frequency', 'frequency') }},

{{ rfm_bounds('monetary', 'monetary') }},

final as (

    select
        recency_bounds.snapshot_month,
        cast(last_day({{ month_of_index('recency_bounds.snapshot_month') }}) as date) as snapshot_date,
        {{ 'recency_bounds.market' if var('rfm_by_market', false) == true else "''" }} as market,
        {{ rfm_bound_columns('recency') }},
        {{ rfm_bound_columns('frequency') }},
        {{ rfm_bound_columns('monetary') }}

    from recency_bounds
    inner join frequency_bounds on {{ rfm_same_population('recency_bounds', 'frequency_bounds') }}
    inner join monetary_bounds on {{ rfm_same_population('recency_bounds', 'monetary_bounds') }}
    {{ semi_join_touched('control.touched_rfm_states_months', 'recency_bounds', ['snapshot_month']) }}

)

select * from final
