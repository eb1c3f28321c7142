{#-
    Current state of a source table out of all its deliveries up to as_of_date: the latest delivery of
    each key wins. Where each delivery is the whole table (`full`), only the rows of the latest delivery are
    left; with keep_removed a key that it no longer lists keeps its last row, and `is_listed` says so.

    The result does not depend on the order of rows, files or runs, because a key is unique within a
    delivery. Only the keys delivered more than once are remembered: the wide rows are never sorted.

    table: name of the source in `raw`; key: list of its key columns.
-#}
{% macro current_rows(table, key, keep_removed=false) -%}
select
    delivered.*{% if keep_removed %},
    not is_full_list or delivered._delivery_date = latest_delivery_date as is_listed{% endif %}

from {{ source('raw', table) }} as delivered
inner join (
    select
        (select max(as_of_date) from {{ source('control', 'run_parameters') }}) as as_of_date,
        coalesce(
            (
                select max(delivery_mode)
                from {{ source('control', 'source_tables') }}
                where table_name = '{{ table }}'
            ) = 'full',
            false
        ) as is_full_list
) as run
    on delivered._delivery_date <= run.as_of_date
left join (
    select
        {%- for column in key %}
        {{ column }},
        {%- endfor %}
        max(_delivery_date) as last_delivery_date

    from {{ source('raw', table) }}
    where _delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
    group by {{ key | join(', ') }}
    having count(*) > 1
) as repeated
    on
        {% for column in key -%}
        {% if not loop.first %}and {% endif %}delivered.{{ column }} = repeated.{{ column }}
        {% endfor -%}
cross join (
    select max(_delivery_date) as latest_delivery_date
    from {{ source('raw', table) }}
    where _delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
) as latest
where
    (repeated.last_delivery_date is null or delivered._delivery_date = repeated.last_delivery_date)
    {%- if not keep_removed %}
    and (not run.is_full_list or delivered._delivery_date = latest.latest_delivery_date)
    {%- endif %}
{%- endmacro %}


{#-
    Every version of each key of a source table: the deliveries up to as_of_date whose values differ
    from the delivery before. `columns` are compared.
-#}
{% macro version_rows(table, key, columns) -%}
select compared.*

from (
    select
        hashed.*,
        lag(row_hash) over (partition by {{ key | join(', ') }} order by _delivery_date) as previous_row_hash

    from (
        select
            delivered.*,
            {{ hash_key(columns) }} as row_hash

        from {{ source('raw', table) }} as delivered
        where _delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
    ) as hashed
) as compared
where previous_row_hash is null or row_hash <> previous_row_hash
{%- endmacro %}
