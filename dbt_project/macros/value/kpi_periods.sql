{#- CTEs, from `sales`, `visits` and `run_parameters` to `periods`: every month (`months` 1) or half year (6) up to as_of_date. -#}
{% macro kpi_periods(months) -%}
-- from the first order or session on, so that no session is left out of the totals
first_periods as (

    select period_start from sales

    union all

    select period_start from visits

),

span as (

    select
        min(first_periods.period_start) as first_period_start,
        max({{ period_start('run_parameters.as_of_date', months) }}) as last_period_start

    from first_periods
    cross join run_parameters

),

months as (

    select {{ month_series('first_period_start', 'last_period_start') }} as month_start

    from span
    where first_period_start is not null

),

periods as (

    select
        months.month_start as period_start,
        {{ add_days(add_months('months.month_start', months), -1) }} as period_end,
        run_parameters.as_of_date

    from months
    cross join run_parameters
    where months.month_start = {{ period_start('months.month_start', months) }}

)
{%- endmacro %}
