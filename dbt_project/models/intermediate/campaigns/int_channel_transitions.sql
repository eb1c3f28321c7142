{#
    How often one channel followed another on a customer's ways to an order or to none: `start`, channels, then `order` or `end`. A path without an order is
    the touches of a customer that no order can be credited to, as far as they lie between the same two orders.
#}
{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_paths', 'columns': ['customer_id']}]}
) }}

with

paths as (

    select paths.*

    from {{ ref('int_order_paths') }} as paths
    {{ semi_join_touched('int_touched_paths', 'paths', ['customer_id']) }}
    where not paths.is_direct

),

orders as (

    select
        orders.customer_id,
        orders.ordered_at

    from {{ ref('fct_orders') }} as orders
    {{ semi_join_touched('int_touched_paths', 'orders', ['customer_id']) }}
    where orders.is_kept and orders.customer_id is not null

),

unused as (

    select
        touches.touch_id,
        touches.customer_id,
        touches.channel,
        touches.first_at

    from {{ ref('int_touches') }} as touches
    anti join paths on touches.touch_id = paths.touch_id
    {{ semi_join_touched('int_touched_paths', 'touches', ['customer_id']) }}
    where not touches.is_direct

),

-- an order parts what came before it from what came after: it stands among the touches as a step without a channel
steps as (

    select
        customer_id,
        'order' as outcome,
        order_id as path_id,
        channel,
        touched_at,
        0 as is_order,
        touch_id

    from paths

    union all

    select
        customer_id,
        'end' as outcome,
        cast(null as {{ dbt.type_string() }}) as path_id,
        channel,
        first_at as touched_at,
        0 as is_order,
        touch_id

    from unused

    union all

    select
        customer_id,
        'end' as outcome,
        cast(null as {{ dbt.type_string() }}) as path_id,
        cast(null as {{ dbt.type_string() }}) as channel,
        ordered_at as touched_at,
        1 as is_order,
        cast(null as {{ dbt.type_string() }}) as touch_id

    from orders

),

linked as (

    select
        customer_id,
        outcome,
        channel,
        lag(channel) over path as previous_channel,
        lead(channel) over path is null as is_last

    from steps
    window path as (partition by customer_id, path_id order by touched_at, is_order, touch_id)

),

transitions as (

    select
        customer_id,
        coalesce(previous_channel, 'start') as from_state,
        channel as to_state

    from linked
    where channel is not null

    union all

    select
        customer_id,
        channel as from_state,
        outcome as to_state

    from linked
    where is_last and channel is not null

),

final as (

    select
        customer_id,
        from_state,
        to_state,
        count(*) as transitions

    from transitions
    group by customer_id, from_state, to_state

)

select * from final
