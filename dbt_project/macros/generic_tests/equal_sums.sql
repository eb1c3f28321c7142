{#- The totals of this model equal those of another: `columns` here against `other_columns` there (the
    same names by default), each with its own optional filter. Fails with one row per differing pair. -#}
{% test equal_sums(model, to, columns, other_columns=none, where_here=none, where_there=none) %}

{%- set theirs = other_columns or columns %}

with

here as (

    select
        {%- for column in columns %}
        coalesce(sum({{ column }}), 0) as total_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ model }}
    {% if where_here %}where {{ where_here }}{% endif %}

),

there as (

    select
        {%- for column in theirs %}
        coalesce(sum({{ column }}), 0) as total_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ to }}
    {% if where_there %}where {{ where_there }}{% endif %}

)

{% for column in columns %}
select
    '{{ column }}' as column_name,
    here.total_{{ loop.index }} as here_total,
    there.total_{{ loop.index }} as there_total

from here
cross join there
where here.total_{{ loop.index }} <> there.total_{{ loop.index }}
{% if not loop.last %}union all{% endif %}
{% endfor %}

{% endtest %}
