{#-
    Incremental builds. A night looks at the deliveries that are new or changed since the last finished build, works out
    which keys they touch, and replaces exactly the rows of those keys: delete, then insert, in every table where history is
    large. What decides is `control.build_plan`, written before dbt starts; a build that follows a failed one, other code, other
    settings or `--full-refresh` is whole, and then these macros leave the models' SQL as if they were not there. So do they where
    a month is over that was not in the last build, in models that know closed months only (`meta.of_closed_months`).

    The keys are found before the tables that they are found in change, and are kept as tables in schema `control`
    (`touched_<source table>`, `last_<what>`) and as the models `int_touched_*`; in a whole build all of them are empty.
-#}


{#- Whether this build replaces the rows of touched keys only, in this model. -#}
{% macro touched_only() -%}
    {%- if not execute or should_full_refresh() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set is_whole = 'is_whole or closes_month' if (config.get('meta') or {}).get('of_closed_months') else 'is_whole' -%}
    {{ return(not run_query('select ' ~ is_whole ~ ' from control.build_plan').rows[0][0]) }}
{%- endmacro %}


{#- Where touched keys are: a model `int_touched_*`, or a table or CTE of that name. A whole build does not depend on them. -#}
{% macro touched_relation(name) -%}
    {{- ref(name) if name.startswith('int_') else name -}}
{%- endmacro %}


{#- Join that keeps the rows of `alias` whose `columns` are among the touched keys; nothing in a whole build. -#}
{% macro semi_join_touched(name, alias, columns) -%}
    {%- if not execute or touched_only() -%}
    semi join {{ touched_relation(name) }} as touched
        on
            {% for column in columns -%}
            {% if not loop.first %}and {% endif %}{{ alias }}.{{ column }} = touched.{{ column }}
            {% endfor -%}
    {%- endif -%}
{%- endmacro %}


{#- Filter that keeps the rows of which some column is among its touched keys (column -> where they are), and those that `also` names. -#}
{% macro where_touched(touched_keys, also=none) -%}
    {%- if not execute or touched_only() -%}
    where
        {% for column, name in touched_keys.items() -%}
        {% if not loop.first %}or {% endif %}{{ column }} in (select {{ column }} from {{ touched_relation(name) }})
        {% endfor -%}
        {{ 'or ' ~ also if also }}
    {%- endif -%}
{%- endmacro %}


{#-
    Pre-hook of a staging model: the keys whose current row may be another one after this build, with the
    columns in `carry` as they were and as they are. They are the keys in a delivery that is new, changed or gone: those that it
    has now, and those whose row is of that delivery's day (in one of `day_columns`). A table that is delivered whole
    touches every key.
-#}
{% macro remember_touched(table, key, carry=[], day_columns=['delivery_date']) -%}
create or replace table control.touched_{{ table }} as
select {{ (key + carry) | join(', ') }} from raw_changed.{{ table }}
    {%- if touched_only() %}
union
select {{ (key + carry) | join(', ') }}
from {{ this }}
where
        {%- for column in day_columns %}
    {{ column }} in (select delivery_date from control.changed_deliveries where table_name = '{{ table }}')
    or
        {%- endfor %}
    exists (select 1 from control.source_tables where table_name = '{{ table }}' and delivery_mode = 'full' and is_changed)
    {%- else %}
where false
    {%- endif -%}
{%- endmacro %}


{#-
    Pre-hook: keep columns (name -> type) of a relation as they are before this build changes it; with `keys`, those of the rows
    only whose `key_columns` are among these touched keys.
-#}
{% macro remember_last(name, relation, columns, keys=none, key_columns=none) -%}
create or replace table control.last_{{ name }} as
    {%- if touched_only() %}
select distinct {{ columns.keys() | join(', ') }} from {{ relation }} as last_rows
        {%- if keys is not none %} {{ semi_join_touched(keys, 'last_rows', key_columns) }}{% endif %}
    {%- else %}
select
        {%- for column, type in columns.items() %}
    cast(null as {{ type }}) as {{ column }}{% if not loop.last %},{% endif %}
        {%- endfor %}
where false
    {%- endif -%}
{%- endmacro %}


{#- Rows that are in one of two relations only, as a subquery; none in a whole build. -#}
{% macro differing_rows(before, after, columns) -%}
(
    (
        select {{ columns | join(', ') }}
        from {{ before }}
        except
        select {{ columns | join(', ') }}
        from {{ after }}
    )
    union all
    (
        select {{ columns | join(', ') }}
        from {{ after }}
        where exists (select 1 from {{ source('control', 'build_plan') }} where not is_whole)
        except
        select {{ columns | join(', ') }}
        from {{ before }}
    )
)
{%- endmacro %}


{#-
    Post-hook of states, rows per customer that hold for spans of months: the months in which a state of a touched customer is another one than
    before the build (`remember_last` of the same name, key and columns), and as many `later` as their figures are compared with.
-#}
{% macro remember_touched_months(name, relation, columns, keys, key_columns, later) -%}
create or replace table control.touched_{{ name }}_months as
    {%- if touched_only() %}
with states as (
    select {{ columns.keys() | join(', ') }} from {{ relation }} as states {{ semi_join_touched(keys, 'states', key_columns) }}
),

months as (
    select {{ integer_series('from_month', 'until_month') }} as snapshot_month
    from {{ differing_rows('control.last_' ~ name, 'states', columns.keys()) }} as differing
)

select
    snapshot_month,
    last_day({{ month_of_index('snapshot_month') }}) as snapshot_date
from (select snapshot_month from months union select snapshot_month + {{ later }} from months)
    {%- else %}
select
    cast(null as integer) as snapshot_month,
    cast(null as date) as snapshot_date
where false
    {%- endif -%}
{%- endmacro %}


{#- Condition of the rows that a build replaces, before and after it: their keys are touched, or they are recomputed always. -#}
{% macro is_replaced(meta) -%}
    {%- for keys in meta['touched_by'] -%}
    {{ 'or ' if not loop.first }}({{ keys['columns'] | join(', ') }}) in (select ({{ keys['columns'] | join(', ') }}) from {{ keys['table'] }})
    {% endfor -%}
    {%- for column in meta['touched_where_null'] or [] %}
    or {{ column }} is null
    {%- endfor %}
{%- endmacro %}


{#-
    The columns `meta.referenced` of the rows that a build replaces, as they are before it: values of them that are gone after it may be missed by
    rows of other tables that stay, which the data tests then look for (`orchestration/dbt_tests.py`).
-#}
{% macro remember_referenced(target) -%}
    {%- set meta = config.get('meta') or {} -%}
    {%- if meta.get('referenced') and touched_only() -%}
        {%- call statement('remember_referenced', auto_begin=False) %}
    create or replace table control.replaced_{{ target.identifier }} as
    select {{ meta['referenced'] | join(', ') }} from {{ target }}
            {%- if meta.get('touched_by') %}
    where {{ is_replaced(meta) }}
            {%- endif %}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}


{#-
    The rows of the touched keys go, the recomputed ones come; one of another key would stand beside a row that stays, and is an error.
    `meta.touched_by` lists the tables of keys, each with the columns that name the rows; rows without one of the columns
    `meta.touched_where_null` are recomputed always.
-#}
{% macro replace_touched_rows(target, query) -%}
    {%- set meta = config.get('meta') -%}
    {%- set recomputed = adapter.quote(target.identifier ~ '__recomputed') -%}
    create or replace temporary table {{ recomputed }} as ({{ query }});
    select error('{{ target.identifier }}: a row was recomputed whose key was not touched') from {{ recomputed }}
    where ({{ is_replaced(meta) }}) is not true;
    {%- for keys in meta['touched_by'] %}
    delete from {{ target }} as replaced
    using {{ keys['table'] }} as touched
    where
        {%- for column in keys['columns'] %}
        {% if not loop.first %}and {% endif %}replaced.{{ column }} = touched.{{ column }}
        {%- endfor %};
    {%- endfor %}
    {%- for column in meta['touched_where_null'] or [] %}
    delete from {{ target }} where {{ column }} is null;
    {%- endfor %}
    insert into {{ target }} by name from {{ recomputed }};
    drop table {{ recomputed }};
{%- endmacro %}
