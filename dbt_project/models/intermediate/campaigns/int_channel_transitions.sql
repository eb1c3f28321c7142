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

-- an order parts what came before it from what came after: it stands among the touches as a step without a channel
steps as (

    select
        'order' as outcome,
        order_id as path_id,
        channel,
        touched_at,
        0 as is_order,
        touch_id

    from paths

    union all

    select
        'end' as outcome,
        customer_id as path_id,
        channel,
        first_at as touched_at,
        0 as is_order,
        touch_id

    from unused

    union all

    select
        'end' as outcome,
        customer_id as path_id,
        cast(null as {{ dbt.type_string() }}) as channel,
        ordered_at as touched_at,
        1 as is_order,
        cast(null as {{ dbt.type_string() }}) as touch_id

    from orders

),

linked as (

    select
        outcome,
        channel,
        lag(channel) over path as previous_channel,
        lead(channel) over path is null as is_last

    from steps
    window path as (partition by outcome, path_id order by touched_at, is_order, touch_id)

),

transitions as (

    select
        coalesce(previous_channel, 'start') as from_state,
        channel as to_state

    from linked
    where channel is not null

    union all

    select
        channel as from_state,
        outcome as to_state

    from linked
    where is_last and channel is not null

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
