{#- One row per whole number from one column to another, both included. For a select list only. -#}
{% macro integer_series(first, last) -%}
    {{ adapter.dispatch('integer_series', 'fidelis')(first, last) }}
{%- endmacro %}

{% macro duckdb__integer_series(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }}))
{%- endmacro %}

{% macro spark__integer_series(first, last) -%}
    explode(sequence({{ first }}, {{ last }}))
{%- endmacro %}
