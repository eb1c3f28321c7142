{{ config(enabled=var('rfm_cut_points', []) | length > 0) }}
-- A market and measure that has cut points has one for each score from 2 to 5, in order; a measure in use has some for all markets.
with

given as (

    select
        coalesce(market, '') as market,
        measure,
        score,
        case when measure = 'recency' then -cut_point else cut_point end as cut_point

    from {{ ref('rfm_cut_points') }}

),

compared as (

    select
        *,
        lag(cut_point) over (partition by market, measure order by score) as cut_point_below

    from given

),

faults as (

    select
        market,
        measure,
        'not one cut point for each score from 2 to 5, in order' as fault

    from compared
    group by market, measure
    having
        count(*) <> 4
        or count(distinct score) <> 4
        or min(score) <> 2
        or max(score) <> 5
        or count(cut_point) <> 4
        or count(*) filter (where cut_point_below >= cut_point) > 0
        or measure not in ('recency', 'frequency', 'monetary')

    {% for measure in var('rfm_cut_points', []) -%}
        union all

        select
            '' as market,
            '{{ measure }}' as measure,
            'no cut points for all markets' as fault

        from given
        having count(*) filter (where measure = '{{ measure }}' and market = '') = 0

    {% endfor %}
)

select * from faults
