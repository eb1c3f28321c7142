{#- Whether a date is in a span of past value: the last months up to as_of_date ('value') or those from first_order_date on ('first'). -#}
{% macro is_in_value_window(date, span, months) -%}
    {% if span == 'value' -%}
        {{ date }} > {{ add_months('as_of_date', -months) }}
    {%- else -%}
        {{ date }} < {{ add_months('first_order_date', months) }}
    {%- endif %}
{%- endmacro %}


{#-
    Pre-hook of past value: the customers whose rows differ from those of the last build. They are touched, or have an order or a return that
    leaves a span up to as_of_date, or the months from their first order on are over by now.
-#}
{% macro remember_touched_values() -%}
create or replace table control.touched_values as
    {%- if not execute or touched_only() %}
with

days as (

    select
        plan.last_as_of_date,
        run.as_of_date

    from {{ source('control', 'build_plan') }} as plan
    cross join {{ source('control', 'run_parameters') }} as run

),

passing as (

        {%- for months in [12, 24, 36] %}
            {%- for facts, day in [(ref('fct_orders'), 'order_date'), (ref('fct_returns'), 'return_date')] %}
    select facts.customer_id
    from {{ facts }} as facts
    cross join days
    where
        facts.{{ day }} > {{ add_months('days.last_as_of_date', -months) }}
        and facts.{{ day }} <= {{ add_months('days.as_of_date', -months) }}
    union all
            {%- endfor %}
    select customers.customer_id
    from {{ this }} as customers
    cross join days
    where
        {{ add_months('customers.first_order_date', months) }} > {{ add_days('days.last_as_of_date', 1) }}
        and {{ add_months('customers.first_order_date', months) }} <= {{ add_days('days.as_of_date', 1) }}
        {{- '
    union all' if not loop.last }}
        {%- endfor %}

)

select customer_id from {{ ref('int_touched_buyers') }}
union
select customer_id from passing
where customer_id is not null
    {%- else %}
select cast(null as {{ dbt.type_string() }}) as customer_id
where false
    {%- endif -%}
{%- endmacro %}
