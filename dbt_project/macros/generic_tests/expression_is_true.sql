{#- Each condition holds for every row; a condition that is null for a row does not fail it. Takes one
    condition or a list, so that a fact's arithmetic costs one scan. Fails with the broken rows. -#}
{% test expression_is_true(model, expression) %}

{%- set conditions = [expression] if expression is string else expression %}

select *

from {{ model }}
where
    {% for condition in conditions -%}
    not ({{ condition }})
    {% if not loop.last %}or {% endif %}
    {%- endfor %}

{% endtest %}
