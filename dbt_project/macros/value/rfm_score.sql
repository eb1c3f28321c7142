{# Score 1 to 5 of a value, from the bounds of its snapshot (columns <measure>_2 to <measure>_5; a missing bound is not reached). #}
{% macro rfm_score(value, bounds, measure) -%}
    case
        {%- for score in range(5, 1, -1) %}
            when {{ value }} >= {{ bounds }}.{{ measure }}_{{ score }} then {{ score }}
        {%- endfor %}
        else 1
    end
{%- endmacro %}
