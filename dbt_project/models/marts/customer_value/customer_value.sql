{#
    Two datings. By order date, an order counts net of all its returns known at the release. By return date (..._return_dated), it
    counts whole on its own day and each return on the day it happened; what differs are the returns for which only one of the two
    days is in the span, so only these are looked at. Both ways the sums over customers are sums over facts.

    A night replaces the rows of customers who are touched, or of whom something leaves a span by the passing of days; the others' are as they were.
#}
{{ config(
    materialized='incremental',
    pre_hook={'transaction': false, 'sql': "{{ remember_touched_values() }}"},
    post_hook="{% if touched_only() %}update {{ this }} set as_of_date = (select as_of_date from {{ source('control', 'run_parameters') }}){% endif %}",
    meta={'touched_by': [{'table': 'control.touched_values', 'columns': ['customer_id']}]}
) }}
{%- set windows = [('value', 12), ('value', 24), ('value', 36), ('first', 12), ('first', 24), ('first', 36)] -%}

with

orders as (

    select * from {{ ref('fct_orders') }}
    {{ where_touched({'customer_id': 'control.touched_values'}) }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}

),

returns as (

    select * from {{ ref('fct_returns') }}

),

products as (

    select
        product_key,
        unit_cost

    from {{ ref('dim_product') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

dated_orders as (

    select
        orders.order_id,
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
    {%- for span, months in windows %}
        {{ is_in_value_window('order_date', span, months) }} as is_in_{{ span }}_{{ months }}m{{ ',' if not loop.last }}
    {%- endfor %}

    from dated_orders

),

customers as (

    select
        customer_id,
        max(as_of_date) as as_of_date,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(*) as orders,
        {%- for span, months in windows %}
            {%- for amount in ['gross', 'net', 'margin'] %}
                {{ sum_known(amount ~ '_amount', 'is_in_' ~ span ~ '_' ~ months ~ 'm') }} as {{ span }}_{{ months }}m_{{ amount }},
            {%- endfor %}
        {%- endfor %}
        {{ sum_known('gross_amount') }} as lifetime_gross,
        {{ sum_known('net_amount') }} as lifetime_net,
        {{ sum_known('margin_amount') }} as lifetime_margin

    from windowed_orders
    group by customer_id

),

returned as (

    select
        windowed_orders.*,
        returns.return_date,
        returns.returned_amount,
        lines.quantity,
        products.unit_cost,
        returns.returned_quantity,
        sum(returns.returned_quantity) over (
            partition by returns.order_line_id
            order by returns.return_date, returns.return_id
            rows between unbounded preceding and current row
        ) as returned_so_far

    from returns
    inner join windowed_orders on returns.order_id = windowed_orders.order_id
    inner join lines on returns.order_line_id = lines.order_line_id
    left join products on lines.product_key = products.product_key

),

-- the cost of what a line keeps is rounded after each return, so that the steps add up to the line's own cost
returned_margins as (

    select
        *,
        returned_amount
        - (
            {{ convert_amount('quantity - returned_so_far + returned_quantity', 'unit_cost') }}
            - {{ convert_amount('quantity - returned_so_far', 'unit_cost') }}
        ) as returned_margin,
    {%- for span, months in windows %}
        {{ is_in_value_window('return_date', span, months) }} as is_back_in_{{ span }}_{{ months }}m{{ ',' if not loop.last }}
    {%- endfor %}

    from returned

),

-- by return date, a span gains the return that its order brings along and loses the one that happens in it
shifts as (

    select
        customer_id,
    {%- for span, months in windows %}
        {%- set window = span ~ '_' ~ months ~ 'm' %}
        {%- set gained = 'case when is_in_' ~ window ~ ' then 1 else 0 end - case when is_back_in_' ~ window ~ ' then 1 else 0 end' %}
        sum(({{ gained }}) * returned_amount) as {{ window }}_net,
        sum(({{ gained }}) * returned_margin) filter (where is_in_{{ window }} <> is_back_in_{{ window }}) as {{ window }}_margin
        {{- ',' if not loop.last }}
    {%- endfor %}

    from returned_margins
    group by customer_id

),

final as (

    select
        customers.*,
        {%- for span, months in windows %}
            {%- set window = span ~ '_' ~ months ~ 'm' %}
            cast(customers.{{ window }}_net + coalesce(shifts.{{ window }}_net, 0) as decimal(18, 2)) as {{ window }}_net_return_dated,
            cast(
                coalesce(
                    customers.{{ window }}_margin + shifts.{{ window }}_margin, customers.{{ window }}_margin, shifts.{{ window }}_margin
                )
                as decimal(18, 2)
            ) as {{ window }}_margin_return_dated,
        {%- endfor %}
    {%- for months in [12, 24, 36] %}
        {{ add_months('customers.first_order_date', months) }} <= {{ add_days('customers.as_of_date', 1) }}
            as is_first_{{ months }}m_complete{{ ',' if not loop.last }}
    {%- endfor %}

    from customers
    left join shifts on customers.customer_id = shifts.customer_id

)

select * from final
