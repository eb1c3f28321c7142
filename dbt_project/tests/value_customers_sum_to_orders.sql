-- The values of all customers and of the orders without a customer add up to the kept orders, to the cent.
{%- set horizons = [12, 24, 36] -%}
{%- set amounts = ['gross', 'net', 'margin'] %}

with

orders as (

    select
        orders.*,
        run_parameters.as_of_date

    from {{ ref('fct_orders') }} as orders
    cross join {{ source('control', 'run_parameters') }} as run_parameters
    where orders.is_kept

),

totals as (

    select
        'fct_orders' as source_name,
        count(*) as orders
        {%- for amount in amounts %},
            coalesce(sum({{ amount }}_amount), 0) as lifetime_{{ amount }}
            {%- for months in horizons %},
                coalesce(sum(
                    case when order_date > {{ add_months('as_of_date', -months) }} then {{ amount }}_amount end
                ), 0) as value_{{ months }}m_{{ amount }}
            {%- endfor %}
        {%- endfor %}

    from orders

    union all

    select
        'customer_value' as source_name,
        coalesce(sum(orders), 0) as orders
        {%- for amount in amounts %},
            coalesce(sum(lifetime_{{ amount }}), 0) as lifetime_{{ amount }}
            {%- for months in horizons %},
                coalesce(sum(value_{{ months }}m_{{ amount }}), 0) as value_{{ months }}m_{{ amount }}
            {%- endfor %}
        {%- endfor %}

    from {{ ref('customer_value') }}

    union all

    select
        'without a customer' as source_name,
        count(*) as orders
        {%- for amount in amounts %},
            coalesce(sum({{ amount }}_amount), 0) as lifetime_{{ amount }}
            {%- for months in horizons %},
                coalesce(sum(
                    case when order_date > {{ add_months('as_of_date', -months) }} then {{ amount }}_amount end
                ), 0) as value_{{ months }}m_{{ amount }}
            {%- endfor %}
        {%- endfor %}

    from orders
    where customer_id is null

),

differences as (

    select
        sum(case when source_name = 'fct_orders' then orders else -orders end) as orders
        {%- for amount in amounts %}
            {%- for column in ['lifetime_' ~ amount, 'value_12m_' ~ amount, 'value_24m_' ~ amount, 'value_36m_' ~ amount] %},
                sum(case when source_name = 'fct_orders' then {{ column }} else -{{ column }} end) as {{ column }}
            {%- endfor %}
        {%- endfor %}

    from totals

),

final as (

    select * from differences
    where
        orders <> 0
        {%- for amount in amounts %}
            {%- for column in ['lifetime_' ~ amount, 'value_12m_' ~ amount, 'value_24m_' ~ amount, 'value_36m_' ~ amount] %}
                or {{ column }} <> 0
            {%- endfor %}
        {%- endfor %}

)

select * from final
