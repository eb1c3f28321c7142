{%- set counts = [
    'control', 'bounces', 'opens', 'human_opens', 'clicks', 'conversions', 'unsubscribes', 'complaints', 'no_reactions', 'pending'
] -%}
{%- set rates = {
    'delivery_rate': ('delivered', 'sent'),
    'open_rate': ('opens', 'delivered'),
    'human_open_rate': ('human_opens', 'delivered'),
    'click_rate': ('clicks', 'delivered'),
    'conversion_rate': ('conversions', 'delivered'),
    'unsubscribe_rate': ('unsubscribes', 'delivered'),
    'complaint_rate': ('complaints', 'delivered'),
    'bounce_rate': ('bounces', 'sent'),
    'no_reaction_rate': ('no_reactions', 'sent'),
} -%}

with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

campaigns as (

    select
        campaigns.campaign_id,
        campaigns.cost_amount,
        cast(ceil(windows.attribution_hours / 24.0) as integer) as attribution_days

    from {{ ref('dim_campaign') }} as campaigns
    inner join {{ ref('reaction_windows') }} as windows on coalesce(campaigns.medium, 'unknown') = windows.medium

),

messages as (

    select
        campaign_id,
        count(*) filter (where not is_control) as sent,
        count(*) filter (where not is_control and delivered_at is not null) as reported_deliveries,
        count(*) filter (where coalesce(delivered_at, opened_at, clicked_at) is not null and not is_control) as seen_deliveries,
        count(*) filter (where bounced_at is not null and not is_control) as bounces,
        count(*) filter (where opened_at is not null and not is_control) as opens,
        count(*) filter (where human_opened_at is not null and not is_control) as human_opens,
        count(*) filter (where clicked_at is not null and not is_control) as clicks,
        count(*) filter (where converted_at is not null and not is_control) as conversions,
        count(*) filter (where unsubscribed_at is not null and not is_control) as unsubscribes,
        count(*) filter (where complained_at is not null and not is_control) as complaints,
        count(*) filter (where reaction = 'no_reaction' and not is_control) as no_reactions,
        count(*) filter (where reaction = 'pending' and not is_control) as pending,
        count(*) filter (where is_control) as control,
        min(sent_date) as first_sent_date,
        max(sent_date) as last_sent_date

    from {{ ref('fct_campaign_messages') }}
    group by campaign_id

),

attributed as (

    select
        campaign_id,
        sum(share) as attributed_orders,
        sum(attributed_net_amount) as attributed_net_amount,
        sum(attributed_margin) as attributed_margin,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date

    from {{ ref('order_attribution') }}
    where model = '{{ var('campaign_attribution_model') }}' and campaign_id is not null
    group by campaign_id

),

costs as (

    select
        campaign_id,
        min(cost_date) as first_cost_date,
        max(cost_date) as last_cost_date

    from {{ ref('fct_campaign_costs') }}
    group by campaign_id

),

counted as (

    select
        campaigns.campaign_id,
        campaigns.cost_amount,
        coalesce(messages.sent, 0) as sent,
        -- a tool that reports no delivery has delivered what did not come back
        case
            when messages.reported_deliveries > 0 then messages.seen_deliveries
            else coalesce(messages.sent - messages.bounces, 0)
        end as delivered,
        {% for count in counts -%}
            coalesce(messages.{{ count }}, 0) as {{ count }},
        {% endfor -%}
        coalesce(attributed.attributed_orders, 0) as attributed_orders,
        coalesce(attributed.attributed_net_amount, 0) as attributed_net_amount,
        case when attributed.campaign_id is null then 0 else attributed.attributed_margin end as attributed_margin,
        least(messages.first_sent_date, costs.first_cost_date, attributed.first_order_date) as window_start,
        least(
            run.as_of_date,
            greatest(
                {{ add_days('messages.last_sent_date', 'campaigns.attribution_days') }}, costs.last_cost_date, attributed.last_order_date
            )
        ) as window_end

    from campaigns
    cross join run
    left join messages on campaigns.campaign_id = messages.campaign_id
    left join attributed on campaigns.campaign_id = attributed.campaign_id
    left join costs on campaigns.campaign_id = costs.campaign_id

),

final as (

    select
        campaign_id,
        window_start,
        case when window_start is not null then window_end end as window_end,
        {% for count in ['sent', 'delivered'] + counts -%}
            cast({{ count }} as bigint) as {{ count }},
        {% endfor -%}
        {% for rate, (part, whole) in rates.items() -%}
            cast({{ part }} as double) / nullif({{ whole }}, 0) as {{ rate }},
        {% endfor -%}
        '{{ var('campaign_attribution_model') }}' as attribution_model,
        cast(attributed_orders as decimal(28, 10)) as attributed_orders,
        cast(attributed_net_amount as decimal(18, 2)) as attributed_net_amount,
        cast(attributed_margin as decimal(18, 2)) as attributed_margin,
        cost_amount,
        cast(attributed_margin - cost_amount as double) / nullif(cast(cost_amount as double), 0) as roi

    from counted

)

select * from final
