{#- CTEs, from `states` to `<measure>_bounds`: per month end, the lowest value of a measure that earns each score from 2 to 5.
    Values are counted, not customers sorted: spans of equal value first, then their months. -#}
{% macro rfm_bounds(measure, value) -%}
{{ measure }}_spans as (

    select
        from_month,
        until_month,
        {{ value }} as measured_value,
        count(*) as customers

    from states
    group by from_month, until_month, {{ value }}

),

{{ measure }}_months as (

    select
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        measured_value,
        customers

    from {{ measure }}_spans

),

{{ measure }}_values as (

    select
        snapshot_month,
        measured_value,
        sum(customers) as customers

    from {{ measure }}_months
    group by snapshot_month, measured_value

),

{{ measure }}_ranks as (

    select
        snapshot_month,
        measured_value,
        sum(customers) over (partition by snapshot_month) as customers,
        coalesce(
            sum(customers) over (
                partition by snapshot_month
                order by measured_value
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as customers_below

    from {{ measure }}_values

),

{{ measure }}_bounds as (

    select
        snapshot_month,
        {%- for score in range(2, 6) %}
        min(measured_value) filter (
            where customers_below > 0 and 5 * customers_below >= {{ score - 1 }} * (customers - 1)
        ) as {{ measure }}_{{ score }},
        {%- endfor %}
        max(customers) as customers

    from {{ measure }}_ranks
    group by snapshot_month

)
{%- endmacro %}
