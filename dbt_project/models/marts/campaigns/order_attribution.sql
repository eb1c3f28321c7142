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
        greatest(coalesce(effects.removal_effect, 0), 0) as removal_effect,
        sum(case when paths.is_direct then 0 else greatest(coalesce(effects.removal_effect, 0), 0) end) over (
            partition by paths.order_id
        ) as path_effect

    from {{ ref('int_order_paths') }} as paths
    left join {{ ref('int_channel_effects') }} as effects on paths.channel = effects.channel

),

weighted as (

    select
        *,
        {% for model, weight in models.items() -%}
            cast({{ weight }} as double) as {{ model }}_weight{% if not loop.last %},
            {% endif %}
        {%- endfor %}

    from paths

),

summed as (

    select
        *,
        {% for model in models -%}
            sum({{ model }}_weight) over touches_so_far as {{ model }}_so_far{% if not loop.last %},
            {% endif %}
        {%- endfor %}

    from weighted
    window touches_so_far as (partition by order_id order by touched_at, touch_id rows between unbounded preceding and current row)

),

placed as (

    select
        *,
        {% for model in models -%}
            lag({{ model }}_so_far) over touches as {{ model }}_before,
            max({{ model }}_so_far) over (partition by order_id) as {{ model }}_total{% if not loop.last %},
            {% endif %}
        {%- endfor %}

    from summed
    window touches as (partition by order_id order by touched_at, touch_id)

),

shared as (

    {% for model in models -%}
        select
            order_id,
            touch_id,
            '{{ model }}' as model,
            touch_type,
            campaign_id,
            channel,
            touched_at,
            cast(round({{ model }}_so_far / {{ model }}_total, 10) as decimal(12, 10)) as share_so_far,
            cast(round(coalesce({{ model }}_before, 0) / {{ model }}_total, 10) as decimal(12, 10)) as share_before

        from placed
        where {{ model }}_weight > 0
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor %}

),

orders as (

    select
        order_id,
        order_date,
        customer_id,
        cast(gross_amount - discount_amount as decimal(18, 2)) as sold_amount,
        returned_amount,
        margin_amount

    from {{ ref('fct_orders') }}

),

cut as (

    select
        shared.*,
        orders.customer_id,
        orders.order_date,
        {% for amount in ['sold', 'returned', 'margin'] -%}
            round(orders.{{ amount }}_amount * shared.share_so_far, 2)
            - round(orders.{{ amount }}_amount * shared.share_before, 2) as {{ amount }}_amount,
        {% endfor -%}
        shared.share_so_far - shared.share_before as share

    from shared
    inner join orders on shared.order_id = orders.order_id

),

final as (

    select
        order_id,
        touch_id,
        model,
        touch_type,
        campaign_id,
        channel,
        customer_id,
        order_date,
        touched_at,
        cast(share as decimal(12, 10)) as share,
        cast(sold_amount as decimal(18, 2)) as sold_amount,
        cast(returned_amount as decimal(18, 2)) as returned_amount,
        cast(sold_amount - returned_amount as decimal(18, 2)) as attributed_net_amount,
        cast(margin_amount as decimal(18, 2)) as attributed_margin

    from cut

)

select * from final
