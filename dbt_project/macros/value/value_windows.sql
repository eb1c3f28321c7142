{#- Whether a date is in a span of past value: the last months up to as_of_date ('value') or those from first_order_date on ('first'). -#}
{% macro is_in_value_window(date, span, months) -%}
    {% if span == 'value' -%}
        {{ date }} > {{ add_months('as_of_date', -months) }}
    {%- else -%}
        {{ date }} < {{ add_months('first_order_date', months) }}
    {%- endif %}
{%- endmacro %}
