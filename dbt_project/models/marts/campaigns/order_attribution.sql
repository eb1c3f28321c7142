{#
    Weights become shares by their running sum, rounded: share = rounded sum up to this touch less the one before, so that the shares of
    an order sum to exactly 1. Amounts are cut the same way, to the cent. Returns are cut by the shares of the sale, so that they take back from
    each touch what it was given. Weights are decimals: their sums are the same in whatever order they are added, so a night cuts as a full refresh does.

    A night replaces the rows of touched customers and, where the effects are not those of the last build, Markov's of orders with several channels.
#}
{{ config(
    materialized='incremental',
    pre_hook={'transaction': false, 'sql': "create or replace table control.touched_credits as
        select order_id, 'markov' as model from {{ ref('int_order_paths') }} where position = 1 and not is_of_one_channel and exists (
            select 1 from
            {{ differing_rows('control.last_effects', ref('int_channel_effects'), ['channel', 'removal_effect']) }} as differing
        )"},
    meta={
        'touched_by': [
            {'table': 'intermediate.int_touched_paths', 'columns': ['customer_id']},
            {'table': 'control.touched_credits', 'columns': ['order_id', 'model']}
        ],
        'referenced': ['order_id']
    }
) }}

{#- By model: touches with a share, the sum of shares up to the touch, and that up to the one before. -#}
{%- set place = 'case when touches <= 2 or {0} in (0, touches) then {0} / touches else 0.4 + 0.2 * ({0} - 1) / (touches - 2) end' -%}
{%- set models = {
    'first_touch': ('position = 1', '1', '0'),
    'last_touch': ('is_last', '1', '0'),
    'last_non_direct': ('position = touches', '1', '0'),
    'linear': ('position >= 1', 'position / touches', '(position - 1) / touches'),
    'position_based': ('position >= 1', place.format('position'), place.format('(position - 1)')),
    'time_decay': ('time_weight > 0', 'time_so_far / time_total', 'time_before / time_total'),
    'markov': (
        'position >= 1 and (is_of_one_channel or removal_effect > 0 or effect_total = 0)',
        'case when is_of_one_channel or effect_total = 0 then position / touches else effect_so_far / effect_total end',
        'case when is_of_one_channel or effect_total = 0 then (position - 1) / touches else effect_before / effect_total end'
    ),
} -%}

with

weighted as (

    select
        paths.*,
        cast(
            case when paths.is_direct then 0 else greatest(coalesce(effects.removal_effect, 0), 0) end as decimal(18, 15)
        ) as removal_effect,
        cast(
            case when paths.is_direct then 0 else power(2, -paths.hours_to_last / {{ var('attribution_half_life_hours') }}) end
            as decimal(18, 15)
        ) as time_weight

    from {{ ref('int_order_paths') }} as paths
    left join {{ ref('int_channel_effects') }} as effects on paths.channel = effects.channel
    {{ where_touched({'customer_id': 'int_touched_paths'}, also='order_id in (select order_id from control.touched_credits)') }}

),

summed as (

    select
        *,
        {% for sum, weight in {'effect': 'removal_effect', 'time': 'time_weight'}.items() -%}
            cast(sum({{ weight }}) over touches_so_far as double) as {{ sum }}_so_far,
            cast(sum({{ weight }}) over touches_so_far - {{ weight }} as double) as {{ sum }}_before,
            cast(sum({{ weight }}) over (partition by order_id) as double) as {{ sum }}_total{% if not loop.last %},
            {% endif %}
        {%- endfor %}

    from weighted
    window touches_so_far as (partition by order_id order by position rows between unbounded preceding and current row)

),

shared as (

    {% for model, (is_credited, so_far, before) in models.items() -%}
        select
            order_id,
            touch_id,
            '{{ model }}' as model,
            touch_type,
            campaign_id,
            channel,
            touched_at,
            cast(round({{ so_far }}, 10) as decimal(12, 10)) as share_so_far,
            cast(round({{ before }}, 10) as decimal(12, 10)) as share_before

        from summed
        {{ semi_join_touched('int_touched_paths', 'summed', ['customer_id']) if model != 'markov' }}
        where {{ is_credited }}
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
