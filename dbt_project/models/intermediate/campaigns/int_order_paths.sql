{#-
    The touches of each kept order within their windows. A message counts at its click where that came before the order, else at its
    opening.
-#}
with

orders as (

    select
        order_id,
        customer_id,
        ordered_at

    from {{ ref('fct_orders') }}
    where is_kept and customer_id is not null

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

within as (

    select
        *,
        {{ hours_between('touched_at', 'ordered_at') }} as hours_before

    from timed

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
        hours_before,
        -- last of all: what last_touch takes
        row_number() over (partition by order_id order by touched_at desc, touch_id desc) = 1 as is_last,
        case
            when not is_direct then row_number() over (partition by order_id, is_direct order by touched_at, touch_id)
        end as position,
        count(*) filter (where not is_direct) over (partition by order_id) as touches

    from within
    where hours_before <= attribution_hours

)

select * from final
