{#
    Weights become shares by their running sum, rounded: share = rounded sum up to this touch less the one before, so that the shares of
    an order sum to exactly 1. Amounts are cut the same way, to the cent. Returns are cut by the shares of the sale, so that they take back from
    each touch what it was given.
#}
{%- set models = {
    'first_touch': 'case when position = 1 then 1 else 0 end',
    'last_touch': 'case when is_last then 1 else 0 end',
    'last_non_direct': 'case when position = touches then 1 else 0 end',
    'linear': 'case when position is not null then 1 else 0 end',
    'position_based': 'case when position is null then 0 when touches <= 2 then 1 when position in (1, touches) then 0.4 else 0.2 / (touches - 2) end',
    'time_decay': 'case when position is null then 0 else power(2, -hours_before / ' ~ var('attribution_half_life_hours') ~ ') end',
    'markov': 'case when position is null then 0 when path_effect > 0 then removal_effect else 1 end',
} -%}

with

paths as (

    select
        paths.*,
        row_number() over (partition by paths.order_id order by paths.touched_at, paths.touch_id) as place,
        greatest(coalesce(effects.removal_effect, 0), 0) as removal_effect,
        sum(case when paths.is_direct then 0 else greatest(coalesce(effects.removal_effect, 0), 0) end) over (
            partition by paths.order_id
        ) as path_effect

    from {{ ref('int_order_paths') }} as paths
    left join {{ ref('int_channel_effects') }} as effects on paths.channel = effects.channel

),

weighted as (

    {% for model, weight in models.items() -%}
        select
            order_id,
            touch_id,
            '{{ model }}' as model,
            place,
            cast({{ weight }} as double) as weight

        from paths
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor %}

),

summed as (

    select
        order_id,
        touch_id,
        model,
        place,
        sum(weight) over (partition by order_id, model order by place rows between unbounded preceding and current row) as weight_so_far

    from weighted
    where weight > 0

),

shared as (

    select
        order_id,
        touch_id,
        model,
        place,
        cast(round(weight_so_far / max(weight_so_far) over (partition by order_id, model), 10) as decimal(12, 10)) as share_so_far

    from summed

),

orders as (

    select
        order_id,
        order_date,
        channel_id,
        customer_id,
        cast(gross_amount - discount_amount as decimal(18, 2)) as sold_amount,
        returned_amount,
        margin_amount

    from {{ ref('fct_orders') }}

),

running as (

    select
        shared.order_id,
        shared.touch_id,
        shared.model,
        shared.place,
        orders.customer_id,
        orders.order_date,
        {% for amount in ['sold', 'returned', 'margin'] -%}
            round(orders.{{ amount }}_amount * shared.share_so_far, 2) as {{ amount }}_so_far,
        {% endfor -%}
        shared.share_so_far

    from shared
    inner join orders on shared.order_id = orders.order_id

),

cut as (

    select
        order_id,
        touch_id,
        model,
        customer_id,
        order_date,
        {% for amount in ['sold', 'returned', 'margin'] -%}
            {{ amount }}_so_far - coalesce(lag({{ amount }}_so_far) over path, 0) as {{ amount }}_amount,
        {% endfor -%}
        share_so_far - coalesce(lag(share_so_far) over path, 0) as share

    from running
    window path as (partition by order_id, model order by place)

),

final as (

    select
        cut.order_id,
        cut.touch_id,
        cut.model,
        paths.touch_type,
        paths.campaign_id,
        paths.channel,
        cut.customer_id,
        cut.order_date,
        paths.touched_at,
        cast(cut.share as decimal(12, 10)) as share,
        cast(cut.sold_amount as decimal(18, 2)) as sold_amount,
        cast(cut.returned_amount as decimal(18, 2)) as returned_amount,
        cast(cut.sold_amount - cut.returned_amount as decimal(18, 2)) as attributed_net_amount,
        cast(cut.margin_amount as decimal(18, 2)) as attributed_margin

    from cut
    inner join paths
        on
            cut.order_id = paths.order_id
            and cut.touch_id = paths.touch_id

)

select * from final
