-- In each snapshot, every value of a score lies below every value of the next one: equal values can then not part.
with

score_cells as (

    select
        snapshot_date,
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
    group by snapshot_date, r_score, f_score, m_score

),

score_ranges as (

    {% for measure, score in {'recency': 'r_score', 'frequency': 'f_score', 'monetary': 'm_score'}.items() -%}
        select
            '{{ measure }}' as measure,
            snapshot_date,
            {{ score }} as score,
            cast(min(lowest_{{ measure }}) as decimal(18, 2)) as lowest_value,
            cast(max(highest_{{ measure }}) as decimal(18, 2)) as highest_value

        from score_cells
        group by snapshot_date, {{ score }}

        {% if not loop.last %}union all{% endif %}

    {% endfor -%}

),

neighbours as (

    select
        *,
        lag(highest_value) over (partition by measure, snapshot_date order by score) as highest_value_below

    from score_ranges

),

final as (

    select * from neighbours
    where highest_value_below >= lowest_value

)

select * from final
