{#- Months as whole numbers (year * 12 + month - 1): spans of months become additions, on every engine. -#}
{% macro month_index(date) -%}
    cast(extract(year from {{ date }}) * 12 + extract(month from {{ date }}) - 1 as integer)
{%- endmacro %}


{#- First day of the month that a month index names. -#}
{% macro month_of_index(index) -%}
    make_date(cast(floor({{ index }} / 12) as integer), cast({{ index }} % 12 as integer) + 1, 1)
{%- endmacro %}


{#- First day of the calendar month (`months` 1) or half year (6) of a date. -#}
{% macro period_start(date, months) -%}
    {{ month_start(date) if months == 1 else half_year_start(date) }}
{%- endmacro %}
