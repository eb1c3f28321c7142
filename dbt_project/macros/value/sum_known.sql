{#- Sum of an amount that may be unknown (a margin without a cost) over the rows that meet a condition: 0 where there is
    no such row, null where there are some and all are unknown, else the sum of the known ones. -#}
{% macro sum_known(amount, condition='true') -%}
    cast(case
        when count(*) filter (where {{ condition }}) = 0 then 0
        else sum({{ amount }}) filter (where {{ condition }})
    end as decimal(18, 2))
{%- endmacro %}
