{{ config(enabled=var('rfm_split_ties', []) | length < 3) }}
-- In each snapshot (and market), every value of a score lies below every value of the next one: equal values can then not part.
-- Measures whose ties are split by a setting are left out.
{%- set scores = {'recency': 'r_score', 'frequency': 'f_score', 'monetary': 'm_score'} %}
with

score_cells as (

    select
        snapshot_date,
        market,
        r_score,
        f_score,
        m_score,
        min(-recency_days) as lowest_recency,
        max(-recency_days) as highest_recency,
        min(frequency) as lowest_frequency,
        max(frequency) as highest_frequency,
        min(monetary) as lowest_monetary,
        max(monetary) as highest_monetary

    from {{ ref('customer_rfm_monthly') }}
    group by snapshot_date, market, r_score, f_score, m_score

),

score_ranges as (

    {% for measure, score in scores.items() if measure not in var('rfm_split_ties', []) -%}
        select
            '{{ measure }}' as measure,
            snapshot_date,
            market,
            {{ score }} as score,
            cast(min(lowest_{{ measure }}) as decimal(18, 2)) as lowest_value,
            cast(max(highest_{{ measure }}) as decimal(18, 2)) as highest_value

        from score_cells
        group by snapshot_date, market, {{ score }}

        {% if not loop.last %}union all{% endif %}

    {% endfor -%}

),

neighbours as (

    select
        *,
        lag(highest_value) over (partition by measure, snapshot_date, market order by score) as highest_value_below

    from score_ranges

),

final as (

    select * from neighbours
    where highest_value_below >= lowest_value

)

select * from final
