{# One row per whole number from first to last, both ends included. For the select list only. #}
{% macro explode_range(first, last) -%}
    {{ return(adapter.dispatch('explode_range')(first, last)) }}
{%- endmacro %}

{% macro default__explode_range(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }}))
{%- endmacro %}

{% macro spark__explode_range(first, last) -%}
    explode(sequence({{ first }}, {{ last }}))
{%- endmacro %}
