{#
    How often one channel followed another on the way to an order or to none: `start`, channels, then `order` or `end`. A path without an order is
    the touches of a customer that no order can be credited to, as far as they lie between the same two orders.
#}
with

paths as (

    select * from {{ ref('int_order_paths') }}
    where not is_direct

),

orders as (

    select
        order_id,
        customer_id,
        ordered_at

    from {{ ref('fct_orders') }}
    where is_kept and customer_id is not null

),

used as (

    select touch_id from paths
    group by touch_id

),

unused as (

    select
        touches.touch_id,
        touches.customer_id,
        touches.channel,
        touches.first_at

    from {{ ref('int_touches') }} as touches
    left join used on touches.touch_id = used.touch_id
    where
        used.touch_id is null
        and not touches.is_direct

),

unused_between as (

    select
        unused.touch_id,
        unused.customer_id,
        unused.channel,
        unused.first_at,
        count(orders.order_id) as orders_before

    from unused
    left join orders
        on
            unused.customer_id = orders.customer_id
            and unused.first_at > orders.ordered_at
    group by unused.touch_id, unused.customer_id, unused.channel, unused.first_at

),

steps as (

    select
        concat('order:', order_id) as path_id,
        'order' as outcome,
        channel,
        touched_at,
        touch_id

    from paths

    union all

    select
        concat('end:', customer_id, ':', cast(orders_before as {{ dbt.type_string() }})) as path_id,
        'end' as outcome,
        channel,
        first_at as touched_at,
        touch_id

    from unused_between

),

linked as (

    select
        outcome,
        channel,
        lag(channel) over path as previous_channel,
        lead(channel) over path is null as is_last

    from steps
    window path as (partition by path_id order by touched_at, touch_id)

),

transitions as (

    select
        coalesce(previous_channel, 'start') as from_state,
        channel as to_state

    from linked

    union all

    select
        channel as from_state,
        outcome as to_state

    from linked
    where is_last

),

final as (

    select
        from_state,
        to_state,
        count(*) as transitions

    from transitions
    group by from_state, to_state

)

select * from final
