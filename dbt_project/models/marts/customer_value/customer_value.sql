{#
    What each customer has been worth. An order counts on its own date, at its value net of all its returns known at the
    release, so that the sums over customers are the sums over fct_orders.
#}
{%- set horizons = [12, 24, 36] -%}

with

orders as (

    select * from {{ ref('fct_orders') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

dated_orders as (

    select
        orders.customer_id,
        orders.order_date,
        orders.gross_amount,
        orders.net_amount,
        orders.margin_amount,
        run_parameters.as_of_date,
        min(orders.order_date) over (partition by orders.customer_id) as first_order_date

    from orders
    cross join run_parameters
    where
        orders.is_kept
        and orders.customer_id is not null

),

windowed_orders as (

    select
        *,
        {%- for months in horizons %}
            order_date > {{ add_months('as_of_date', -months) }} as is_in_last_{{ months }}m,
            order_date < {{ add_months('first_order_date', months) }} as is_in_first_{{ months }}m{{ ',' if not loop.last }}
        {%- endfor %}

    from dated_orders

),

customers as (

    select
        customer_id,
        max(as_of_date) as as_of_date,
        max(first_order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(*) as orders,
        {%- for months in horizons %}
            {%- for amount in ['gross', 'net', 'margin'] %}
                {{ sum_known(amount ~ '_amount', 'is_in_last_' ~ months ~ 'm') }} as value_{{ months }}m_{{ amount }},
            {%- endfor %}
        {%- endfor %}
        {%- for months in horizons %}
            {%- for amount in ['net', 'margin'] %}
                {{ sum_known(amount ~ '_amount', 'is_in_first_' ~ months ~ 'm') }} as first_{{ months }}m_{{ amount }},
            {%- endfor %}
        {%- endfor %}
        {%- for amount in ['gross', 'net', 'margin'] %}
            {{ sum_known(amount ~ '_amount') }} as lifetime_{{ amount }}{{ ',' if not loop.last }}
        {%- endfor %}

    from windowed_orders
    group by customer_id

),

final as (

    select
        customer_id,
        as_of_date,
        first_order_date,
        last_order_date,
        orders,
        {%- for months in horizons %}
            value_{{ months }}m_gross,
            value_{{ months }}m_net,
            value_{{ months }}m_margin,
        {%- endfor %}
        {%- for months in horizons %}
            first_{{ months }}m_net,
            first_{{ months }}m_margin,
            {{ add_months('first_order_date', months) }} <= {{ add_days('as_of_date', 1) }} as is_first_{{ months }}m_complete,
        {%- endfor %}
        lifetime_gross,
        lifetime_net,
        lifetime_margin

    from customers

)

select * from final
