{#- CTE `changes`, from `counted_orders` and `counted_returns`: what every order and return adds to and takes from its customer's
    known orders, frequency and monetary value, each in the month in which it happens. An order without an end ends in month `never`. -#}
{% macro rfm_changes(never) -%}
changes as (

    select
        customer_id,
        order_month as month_index,
        1 as known_orders,
        1 as frequency,
        amount as monetary,
        case when undone_month = {{ never }} then order_date end as lasting_order_date

    from counted_orders

    union all

    select
        customer_id,
        exit_month as month_index,
        0 as known_orders,
        -1 as frequency,
        -amount as monetary,
        cast(null as date) as lasting_order_date

    from counted_orders

    union all

    select
        customer_id,
        undone_month as month_index,
        -1 as known_orders,
        0 as frequency,
        0 as monetary,
        cast(null as date) as lasting_order_date

    from counted_orders
    where undone_month < {{ never }}

    union all

    select
        customer_id,
        return_month as month_index,
        0 as known_orders,
        0 as frequency,
        -returned_amount as monetary,
        cast(null as date) as lasting_order_date

    from counted_returns
    where return_month < exit_month

    union all

    -- an order leaves with what is left of it: its earlier returns leave with it
    select
        customer_id,
        exit_month as month_index,
        0 as known_orders,
        0 as frequency,
        returned_amount as monetary,
        cast(null as date) as lasting_order_date

    from counted_returns
    where return_month < exit_month

)
{%- endmacro %}
