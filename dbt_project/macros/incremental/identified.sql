{#- Records of the unique customer repository, as their tables have them: accounts, and guest orders and visitors. -#}
{% macro identity_records(of_accounts) -%}
    {%- if of_accounts -%}
    select
        source_id as source_customer_id,
        customer_id,
        source_system,
        is_inferred,
        first_seen as first_seen_date

    from {{ source('identity', 'identities') }}
    where record_kind = 'account'
    {%- else -%}
    select
        record_kind,
        source_id,
        customer_id

    from {{ source('identity', 'identities') }}
    where record_kind <> 'account'
    {%- endif -%}
{%- endmacro %}


{#-
    Pre-hook of a table of `identity_records`: the keys of records that are others than in the last build, in one of `columns`, with the customers
    that they were and are of. One join tells; nothing is copied.
-#}
{% macro remember_identified(name, records, keys, columns) -%}
create or replace table control.touched_{{ name }} as
    {%- if touched_only() %}
with differing as (
    select
        {%- for key in keys %}
        coalesce(last_rows.{{ key }}, records.{{ key }}) as {{ key }},
        {%- endfor %}
        last_rows.customer_id as last_customer_id,
        records.customer_id
    from {{ this }} as last_rows
    full join ({{ records }}) as records
        on
            {% for key in keys -%}
            {% if not loop.first %}and {% endif %}last_rows.{{ key }} = records.{{ key }}
            {% endfor %}
    where
        {% for column in columns -%}
        {% if not loop.first %}or {% endif %}last_rows.{{ column }} is distinct from records.{{ column }}
        {% endfor %}
)

select {{ keys | join(', ') }}, last_customer_id as customer_id from differing where last_customer_id is not null
union
select {{ keys | join(', ') }}, customer_id from differing where customer_id is not null
    {%- else %}
select {{ keys | join(', ') }}, customer_id from ({{ records }}) as records
where false
    {%- endif -%}
{%- endmacro %}
