{#- Condition: a campaign's objective is one of those that a variable lists; true for all where it lists none. -#}
{% macro has_objective(objective, variable) -%}
    {%- if var(variable) -%}
        {{ objective }} in ('{{ var(variable) | join("', '") }}')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
