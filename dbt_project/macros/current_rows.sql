{#-
    The deliveries of a source table that a staging model reads, up to as_of_date: all of them, or, in a build that
    replaces touched keys only, the new and changed ones and what older ones hold of the same keys. Older
    deliveries are shown in `raw_unchanged` where a day before the last one changed; after a usual night
    the newest delivery of a key is in the newest delivery.

    columns: the columns needed beside the key, under the names that the staging model gives them too: where older deliveries need
    not be read, its own last rows stand for them.
-#}
{% macro deliveries(table, key, columns=none) -%}
    {%- set all_deliveries = source('raw', table) -%}
    {%- set names = (key + columns) if columns is not none else ['*'] -%}
    {%- if touched_only() -%}
(
    select {{ names | join(', ') }}{% if columns is not none %}, _delivery_date{% endif %} from raw_changed.{{ table }}
    union all
    select {{ names | join(', ') }}{% if columns is not none %}, _delivery_date{% endif %} from raw_unchanged.{{ table }} as older
    {{ semi_join_touched('control.touched_' ~ table, 'older', key) }}
    {%- if columns is not none %}
    union all
    select {{ names | join(', ') }}, delivery_date as _delivery_date from {{ this }} as last_rows
    {{ semi_join_touched('control.touched_' ~ table, 'last_rows', key) }}
    where not exists (select 1 from control.source_tables where table_name = '{{ table }}' and reads_older_deliveries)
    {%- endif %}
)
    {%- else -%}
{{ all_deliveries }}
    {%- endif -%}
{%- endmacro %}


{#-
    Current state of a source table out of all its deliveries up to as_of_date: the latest delivery of
    each key wins. Where each delivery is the whole table (`full`), only the rows of the latest delivery are
    left; with keep_removed a key that it no longer lists keeps its last row, and `is_listed` says so.

    The result does not depend on the order of rows, files or runs, because a key is unique within a
    delivery. Only the keys delivered more than once are remembered: the wide rows are never sorted.

    table: name of the source in `raw`; key: list of its key columns; columns: the other columns of a table that keeps removed keys.
-#}
{% macro current_rows(table, key, columns=none) -%}
{%- set keep_removed = columns is not none -%}
select
    delivered.*{% if keep_removed %},
    not is_full_list or delivered._delivery_date = latest_delivery_date as is_listed{% endif %}

from {{ deliveries(table, key, columns) }} as delivered
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

    from {{ deliveries(table, key, columns) }} as delivered_again
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
    from {{ deliveries(table, key, columns) }} as delivered_last
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

        from {{ deliveries(table, key, columns) }} as delivered
        where _delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
    ) as hashed
) as compared
where previous_row_hash is null or row_hash <> previous_row_hash
{%- endmacro %}
