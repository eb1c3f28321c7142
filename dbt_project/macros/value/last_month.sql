{#- CTE `last_month`, from `run_parameters`: the last month that is over at as_of_date, as a month index. -#}
{% macro last_month() -%}
last_month as (

    select
        case
            when last_day(as_of_date) = as_of_date then {{ month_index('as_of_date') }}
            else {{ month_index('as_of_date') }} - 1
        end as month_index

    from run_parameters

)
{%- endmacro %}
