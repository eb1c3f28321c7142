{#- Cut points of people, in place of shares of the population. A market without its own takes those of all markets. -#}
{% macro rfm_cut_point_bounds(measure) -%}
{{ measure }}_spans as (

    select
        from_month,
        until_month,
        {{ 'market' if var('rfm_by_market', false) == true else "''" }} as market

    from states
    group by from_month, until_month{{ ', market' if var('rfm_by_market', false) == true }}

),

{{ measure }}_months as (

    select
        market,
        {{ integer_series('from_month', 'until_month') }} as snapshot_month

    from {{ measure }}_spans

),

{{ measure }}_populations as (

    select
        snapshot_month,
        market

    from {{ measure }}_months
    group by snapshot_month, market

),

{{ measure }}_cut_points as (

    select
        coalesce(market, '') as market,
        {%- for score in range(2, 6) %}
        max(case when score = {{ score }} then cut_point end) as cut_point_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ ref('rfm_cut_points') }}
    where measure = '{{ measure }}'
    group by coalesce(market, '')

),

{{ measure }}_bounds as (

    select
        populations.snapshot_month,
        populations.market,
        {%- for score in range(2, 6) %}
        {%- set cut_point = 'coalesce(own.cut_point_' ~ score ~ ', common.cut_point_' ~ score ~ ')' %}
        {%- if measure == 'recency' %}
        -- fewer days than the cut point
        {{ add_days('last_day(' ~ month_of_index('populations.snapshot_month') ~ ')', '1 - ceil(' ~ cut_point ~ ')') }}
        {%- else %}
        {{ cut_point }}
        {%- endif %} as {{ measure }}_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ measure }}_populations as populations
    left join {{ measure }}_cut_points as own on populations.market = own.market
    left join {{ measure }}_cut_points as common on common.market = ''

)
{%- endmacro %}
