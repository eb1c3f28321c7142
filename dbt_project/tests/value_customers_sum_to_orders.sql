{{ config(meta={'dagster': {'ref': {'name': 'customer_value'}}}) }}
-- In every span, gross, net and margin, by order date and by return date: the values of all customers add up to those of the
-- identified kept orders, lines and returns in the facts, to the cent. What nobody's orders bring is in the account.
{%- set windows = [('value', 12), ('value', 24), ('value', 36), ('first', 12), ('first', 24), ('first', 36)] %}
{%- set sides = {'value': '> before', 'first': '< after'} %}
with

-- where spans begin and end, once per run and customer
run_parameters as (

    select
        {% for months in [12, 24, 36] -%}
            {{ add_months('as_of_date', -months) }} as before_value_{{ months }}m,
        {% endfor -%}
        as_of_date

    from {{ source('control', 'run_parameters') }}

),

first_orders as (

    select
        {% for months in [12, 24, 36] -%}
            {{ add_months('order_date', months) }} as after_first_{{ months }}m,
        {% endfor -%}
        customer_id

    from {{ ref('fct_orders') }}
    where is_first_order

),

kept_orders as (

    select
        {%- for months in [12, 24, 36] %}
            run_parameters.before_value_{{ months }}m,
            first_orders.after_first_{{ months }}m,
        {%- endfor %}
        orders.*

    from {{ ref('fct_orders') }} as orders
    inner join first_orders on orders.customer_id = first_orders.customer_id
    cross join run_parameters
    where orders.is_kept

),

-- the cost of what is left of a line, before and after each of its returns
returned as (

    select
        returns.order_id,
        returns.return_date,
        returns.returned_amount,
        products.unit_cost,
        lines.quantity - sum(returns.returned_quantity) over so_far as quantity_after,
        returns.returned_quantity

    from {{ ref('fct_returns') }} as returns
    inner join {{ ref('fct_order_lines') }} as lines on returns.order_line_id = lines.order_line_id
    left join {{ ref('dim_product') }} as products on lines.product_key = products.product_key
    window
        so_far as (
            partition by returns.order_line_id
            order by returns.return_date, returns.return_id
            rows between unbounded preceding and current row
        )

),

movements as (

    select
        lines.order_id,
        lines.order_date as movement_date,
        lines.gross_amount - lines.discount_amount as net_amount,
        lines.gross_amount
        - lines.discount_amount
        - {{ product_in_cents('lines.quantity', 'products.unit_cost') }} as margin_amount

    from {{ ref('fct_order_lines') }} as lines
    left join {{ ref('dim_product') }} as products on lines.product_key = products.product_key

    union all

    select
        order_id,
        return_date as movement_date,
        -returned_amount as net_amount,
        {{ product_in_cents('(quantity_after + returned_quantity)', 'unit_cost') }}
        - {{ product_in_cents('quantity_after', 'unit_cost') }}
        - returned_amount as margin_amount

    from returned

),

-- each row falls into spans once, and these are few
orders_by_spans as (

    select
        {%- for span, months in windows %}
            order_date {{ sides[span] }}_{{ span }}_{{ months }}m as is_in_{{ span }}_{{ months }}m,
        {%- endfor %}
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(margin_amount) as margin_amount

    from kept_orders
    group by all

),

movements_by_spans as (

    select
        {%- for span, months in windows %}
            movements.movement_date {{ sides[span] }}_{{ span }}_{{ months }}m as is_in_{{ span }}_{{ months }}m,
        {%- endfor %}
        sum(movements.net_amount) as net_amount,
        sum(movements.margin_amount) as margin_amount

    from movements
    inner join kept_orders on movements.order_id = kept_orders.order_id
    group by all

),

order_dated as (

    select
        {%- for span, months in windows %}
            {%- for amount in ['gross', 'net', 'margin'] %}
                sum({{ amount }}_amount) filter (where is_in_{{ span }}_{{ months }}m) as {{ span }}_{{ months }}m_{{ amount }},
            {%- endfor %}
        {%- endfor %}
        sum(gross_amount) as lifetime_gross,
        sum(net_amount) as lifetime_net,
        sum(margin_amount) as lifetime_margin

    from orders_by_spans

),

return_dated as (

    select
        {%- for span, months in windows %}
            {%- for amount in ['net', 'margin'] %}
                sum({{ amount }}_amount) filter (
                    where is_in_{{ span }}_{{ months }}m
                ) as {{ span }}_{{ months }}m_{{ amount }}_return_dated,
            {%- endfor %}
        {%- endfor %}
        count(*) as spans

    from movements_by_spans

),

customers as (

    select
        {%- for span, months in windows %}
            {%- for value in ['gross', 'net', 'margin', 'net_return_dated', 'margin_return_dated'] %}
                sum({{ span }}_{{ months }}m_{{ value }}) as {{ span }}_{{ months }}m_{{ value }},
            {%- endfor %}
        {%- endfor %}
        sum(lifetime_gross) as lifetime_gross,
        sum(lifetime_net) as lifetime_net,
        sum(lifetime_margin) as lifetime_margin

    from {{ ref('customer_value') }}

),

compared as (

    {% for span, months in windows + [('lifetime', 0)] -%}
        {% for value in ['gross', 'net', 'margin'] + (['net_return_dated', 'margin_return_dated'] if months else []) -%}
            {% set name = span ~ ('_' ~ months ~ 'm_' if months else '_') ~ value -%}
            select
                '{{ name }}' as value_name,
                coalesce(customers.{{ name }}, 0) as of_customers,
                coalesce({{ 'return_dated' if value.endswith('dated') else 'order_dated' }}.{{ name }}, 0) as of_facts

            from customers
            cross join order_dated
            cross join return_dated
            {% if name != 'lifetime_margin' %}
                union all

            {% endif %}
        {%- endfor %}
    {%- endfor %}

)

select * from compared
where of_customers <> of_facts
