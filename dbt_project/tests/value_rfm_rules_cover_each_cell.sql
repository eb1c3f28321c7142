{{ config(enabled=var('rfm_segments_from', 'grid') == 'rules') }}
-- Each of the 125 cells R x F x M falls under a rule.
with

scores as (

    select {{ unnest_integers([1, 2, 3, 4, 5]) }} as score

),

final as (

    select
        recency.score as r_score,
        frequency.score as f_score,
        monetary.score as m_score

    from scores as recency
    cross join scores as frequency
    cross join scores as monetary
    left join {{ ref('rfm_segment_rules') }} as rules
        on
            recency.score between rules.r_from and rules.r_to
            and frequency.score between rules.f_from and rules.f_to
            and monetary.score between rules.m_from and rules.m_to
    where rules.priority is null

)

select * from final
