{#- Surrogate key: md5 of the columns, in their order. A null and an empty text give different keys. -#}
{% macro hash_key(columns) -%}
    md5(concat(
        {%- for column in columns %}
        coalesce(cast({{ column }} as {{ dbt.type_string() }}), '~')
        {%- if not loop.last %}, '|',{% endif %}
        {%- endfor %}
    ))
{%- endmacro %}


{#- A value to order by in min_by and max_by, so that equal times fall back on the second column. -#}
{% macro order_of(first, second) -%}
    {{ adapter.dispatch('order_of', 'fidelis')(first, second) }}
{%- endmacro %}

{% macro duckdb__order_of(first, second) -%}
    row({{ first }}, {{ second }})
{%- endmacro %}

{% macro spark__order_of(first, second) -%}
    struct({{ first }}, {{ second }})
{%- endmacro %}
