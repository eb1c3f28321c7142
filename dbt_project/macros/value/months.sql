{# Months as whole numbers (year * 12 + month - 1): spans of months become additions, on every engine. #}
{% macro month_index(date) -%}
    cast(extract(year from {{ date }}) * 12 + extract(month from {{ date }}) - 1 as integer)
{%- endmacro %}

{# First day of the month that a month index names. #}
{% macro month_start(index) -%}
    make_date(cast(floor({{ index }} / 12) as integer), cast({{ index }} % 12 as integer) + 1, 1)
{%- endmacro %}

{# Same day `months` later (earlier if negative), or the month's last day where that day does not exist. #}
{% macro add_months(date, months) -%}
    cast({{ dbt.dateadd('month', months, date) }} as date)
{%- endmacro %}
