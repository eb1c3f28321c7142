{#
    Kept orders per customer and month, in each cut of the indicators: all channels together (channel_id null) and each
    channel by itself. An order's place in its customer's history is taken within the cut: in a channel's rows, a
    customer is new, returning or reactivated for that channel. Orders without a customer are one row per month and cut
    with customer_id null.
#}
{{ config(
    materialized='incremental',
    meta={
        'touched_by': [{'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}],
        'touched_where_null': ['customer_id']
    }
) }}

with

orders as (

    select * from {{ ref('fct_orders') }}
    {{ where_touched({'customer_id': 'int_touched_buyers'}, also='customer_id is null') }}

),

kept_orders as (

    select
        order_id,
        customer_id,
        channel_id,
        order_date,
        ordered_at,
        net_amount,
        margin_amount,
        order_number,
        {{ add_days('order_date', '-days_since_previous_order') }} as previous_order_date

    from orders
    where is_kept

),

-- the place in the history of all channels is known; the place in a channel's history is not; nobody's orders have none
placed_orders as (

    select
        customer_id,
        cast(null as {{ dbt.type_string() }}) as channel_id,
        order_date,
        net_amount,
        margin_amount,
        order_number,
        previous_order_date

    from kept_orders

    union all

    select
        customer_id,
        channel_id,
        order_date,
        net_amount,
        margin_amount,
        row_number() over history as order_number,
        lag(order_date) over history as previous_order_date

    from kept_orders
    where customer_id is not null
    window history as (partition by customer_id, channel_id order by ordered_at, order_id)

    union all

    select
        customer_id,
        channel_id,
        order_date,
        net_amount,
        margin_amount,
        order_number,
        previous_order_date

    from kept_orders
    where customer_id is null

),

months as (

    select
        customer_id,
        {{ month_start('order_date') }} as month_start,
        channel_id,
        cast(count(*) as bigint) as orders,
        {{ sum_known('net_amount') }} as net_amount,
        {{ sum_known('margin_amount') }} as margin_amount,
        coalesce(min(order_number) = 1, false) as is_new,
        coalesce(max(order_number) > 1, false) as is_returning,
        max(case when order_date > {{ add_months('previous_order_date', 12) }} then 1 else 0 end) = 1 as is_reactivated

    from placed_orders
    group by customer_id, {{ month_start('order_date') }}, channel_id

),

final as (

    select
        *,
        case
            when customer_id is not null then lead(month_start) over (partition by customer_id, channel_id order by month_start)
        end as next_month_start

    from months

)

select * from final
