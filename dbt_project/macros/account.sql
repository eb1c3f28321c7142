{#- Lines of the account, one per measure, out of a small relation that holds sums by `currency`: what a table has on one side
    of a step (`left` before it, `right` after it, `excluded` between the two, for the `reason` of the relation).

    measures: columns of the relation; `rows` is its column `row_count`. -#}
{% macro account_lines(relation, step, table, side, measures) -%}
{%- for measure in measures -%}
select
    '{{ step }}' as step,
    '{{ table }}' as table_name,
    '{{ side }}' as side,
    {{ 'reason' if side == 'excluded' else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as reason,
    currency,
    '{{ measure }}' as measure,
    cast(coalesce({{ 'row_count' if measure == 'rows' else measure }}, 0) as decimal(38, 8)) as amount

from {{ relation }}
{% if side == 'excluded' -%}
where reason is not null
{% endif -%}
{% if not loop.last %}
union all

{% endif %}
{%- endfor %}
{%- endmacro %}
