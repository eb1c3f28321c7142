{#- Surrogate key: md5 of the columns, in their order. A null and an empty text give different keys. -#}
{% macro hash_key(columns) -%}
    md5(concat(
        {%- for column in columns %}
        coalesce(cast({{ column }} as {{ dbt.type_string() }}), '~')
        {%- if not loop.last %}, '|',{% endif %}
        {%- endfor %}
    ))
{%- endmacro %}


{#- Several columns as one value, compared in their order: the smallest record of a group is its first row,
    whole. Start with a column that orders and one that breaks ties; a field is read as `entry.page_path`. -#}
{% macro record(columns) -%}
    {{ adapter.dispatch('record', 'fidelis')(columns) }}
{%- endmacro %}

{% macro duckdb__record(columns) -%}
    struct_pack(
        {%- for column in columns -%}
        {{ column }} := {{ column }}{% if not loop.last %}, {% endif %}
        {%- endfor -%}
    )
{%- endmacro %}

{% macro spark__record(columns) -%}
    named_struct(
        {%- for column in columns -%}
        '{{ column }}', {{ column }}{% if not loop.last %}, {% endif %}
        {%- endfor -%}
    )
{%- endmacro %}


{#- The number that a customer_id is: K and 15 hexadecimal digits (`orchestration/identity/registry.py`). Numbers are in the order of the ids. -#}
{% macro number_of_customer(customer_id) -%}
    {{ adapter.dispatch('number_of_customer', 'fidelis')(customer_id) }}
{%- endmacro %}

{% macro duckdb__number_of_customer(customer_id) -%}
    cast(concat('0x', substr({{ customer_id }}, 2)) as bigint)
{%- endmacro %}

{% macro spark__number_of_customer(customer_id) -%}
    cast(conv(substr({{ customer_id }}, 2), 16, 10) as bigint)
{%- endmacro %}
