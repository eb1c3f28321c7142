{#- Score 1 to 5 of a value, from the bounds of its snapshot (columns <measure>_2 to <measure>_5; a missing bound is not reached).
    Where ties of the measure are split, a value at the bound earns the score from the bound's account number on. -#}
{% macro rfm_score(value, bounds, measure, account_number) -%}
    {%- set splits_ties = measure in var('rfm_split_ties', []) -%}
    case
        {%- for score in range(5, 1, -1) %}
            {%- set bound = bounds ~ '.' ~ measure ~ '_' ~ score %}
            {%- if splits_ties %}
            when {{ value }} > {{ bound }} or ({{ value }} = {{ bound }} and {{ account_number }} >= {{ bound }}_account) then {{ score }}
            {%- else %}
            when {{ value }} >= {{ bound }} then {{ score }}
            {%- endif %}
        {%- endfor %}
        else 1
    end
{%- endmacro %}
