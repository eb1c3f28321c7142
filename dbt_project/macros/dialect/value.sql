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

{#- Item of a list, counted from 1. -#}
{% macro list_item(items, position) -%}
    {{ adapter.dispatch('list_item', 'fidelis')(items, position) }}
{%- endmacro %}

{% macro duckdb__list_item(items, position) -%}
    {{ items }}[{{ position }}]
{%- endmacro %}

{% macro spark__list_item(items, position) -%}
    element_at({{ items }}, {{ position }})
{%- endmacro %}
