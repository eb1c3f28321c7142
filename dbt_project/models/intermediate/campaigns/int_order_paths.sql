{#-
    The touches of each kept order within their windows. A message counts at its click where that came before the order, else at its
    opening.
-#}
{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_paths', 'columns': ['customer_id']}]}
) }}

with

orders as (

    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at

    from {{ ref('fct_orders') }} as orders
    {{ semi_join_touched('int_touched_paths', 'orders', ['customer_id']) }}
    where orders.is_kept and orders.customer_id is not null

),

touches as (

    select * from {{ ref('int_touches') }}

),

timed as (

    select
        orders.order_id,
        orders.ordered_at,
        touches.touch_id,
        touches.touch_type,
        touches.customer_id,
        touches.campaign_id,
        touches.channel,
        touches.is_direct,
        touches.attribution_hours,
        case when touches.clicked_at <= orders.ordered_at then touches.clicked_at else touches.first_at end as touched_at

    from orders
    inner join touches
        on
            orders.customer_id = touches.customer_id
            and orders.ordered_at >= touches.first_at

),

final as (

    select
        order_id,
        touch_id,
        touch_type,
        customer_id,
        campaign_id,
        channel,
        is_direct,
        ordered_at,
        touched_at,
        {{ hours_between('touched_at', 'max(touched_at) filter (where not is_direct) over (partition by order_id)') }} as hours_to_last,
        min(channel) filter (where not is_direct) over (partition by order_id)
        = max(channel) filter (where not is_direct) over (partition by order_id) as is_of_one_channel,
        -- last of all: what last_touch takes
        lead(touch_id) over path is null as is_last,
        case
            when not is_direct then count(*) filter (where not is_direct) over (path rows between unbounded preceding and current row)
        end as position,
        count(*) filter (where not is_direct) over (partition by order_id) as touches

    from timed
    where {{ hours_between('touched_at', 'ordered_at') }} <= attribution_hours
    window path as (partition by order_id order by touched_at, touch_id)

)

select * from final
