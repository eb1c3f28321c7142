{#-
    Tables of which a night replaces the rows of touched keys (macros/incremental/touched.sql), in one call to the database; dbt-duckdb's takes six.
    What a column is may change only with the code, and then the build is whole.
-#}
{% materialization incremental, adapter="duckdb" %}
    {%- set target = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do remember_referenced(target) %}
    {%- if touched_only() -%}
        {%- call statement('main') -%}
            {{ replace_touched_rows(target, compiled_code) }}
        {%- endcall -%}
    {%- else -%}
        {{ create_or_replace_table(load_cached_relation(this), target) }}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
