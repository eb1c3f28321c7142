{#-
    Tables as this project needs them, in place of dbt-duckdb's: there are no views of the same name to rename, no grants, no
    indexes, no foreign keys, and DuckDB replaces a table within a transaction. So a model is one call to the database (create, fill,
    comment) and not eight. A table of Python is written under a name of its own by dbt-duckdb, and takes its place then.

    A contract is compared with the query's columns where code may have changed, that is, in a whole build (`orchestration/build_plan.py`).
-#}
{% materialization table, adapter="duckdb", supported_languages=['sql', 'python'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do remember_referenced(target) %}
    {%- if existing is not none and not existing.is_table -%}
        {{ adapter.drop_relation(existing) }}
    {%- endif -%}

    {%- if model['language'] == 'python' -%}
        {%- set written = make_intermediate_relation(target) -%}
        {#- outside of a transaction: the model has a connection of its own to this database -#}
        {%- call statement('drop_leftover', auto_begin=False) -%} drop table if exists {{ written }} {%- endcall -%}
        {%- call statement('main', language='python') -%}
            {{- py_write_table(false, written, compiled_code) }}
        {%- endcall -%}
        {%- call statement('replace') -%}
    drop table if exists {{ target }};
    alter table {{ written }} rename to {{ adapter.quote(target.identifier) }};
    {{ comments_on(target) }}
        {%- endcall -%}
    {%- else -%}
        {{ create_or_replace_table(existing, target) }}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#- A table made anew by a model's query. -#}
{% macro create_or_replace_table(existing, target) -%}
    {%- if config.get('contract').enforced and (existing is none or should_full_refresh()) -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        {%- if config.get('contract').enforced %}
    create or replace table {{ target }} {{ get_table_columns_and_constraints() }};
    insert into {{ target }} {{ get_column_names() }} ({{ get_select_subquery(compiled_code) }});
        {%- else %}
    create or replace table {{ target }} as ({{ compiled_code }});
        {%- endif %}
    {{ comments_on(target) }}
    {%- endcall -%}
{%- endmacro %}


{#- The comments of a model and its columns, where they are to be kept in the database. -#}
{% macro comments_on(relation) -%}
    {%- if config.persist_relation_docs() and model.description %}
    comment on table {{ relation }} is {{ duckdb_escape_comment(model.description) }};
    {%- endif %}
    {%- if config.persist_column_docs() -%}
        {%- for column in model.columns.values() if column.description %}
    comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ duckdb_escape_comment(column.description) }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
