{#
    What the marketing tools report, and what nobody reports: orders that redeem a campaign's coupon, and orders within the window
    of a campaign whose conversions are read from the orders (mail and call, unless the campaign says otherwise).
#}
{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_messages', 'columns': ['message_id']}]}
) }}

with

reactions as (

    select
        reactions.*,
        {{ second_start('reacted_at') }} as reacted_second

    from {{ ref('stg_marketing__reactions') }} as reactions
    {{ semi_join_touched('int_touched_messages', 'reactions', ['message_id']) }}

),

-- user agents are few, reactions many
agents as (

    select user_agent

    from reactions
    where user_agent is not null
    group by user_agent

),

machine_agents as (

    select agents.user_agent

    from agents
    inner join {{ ref('machine_open_rules') }} as rules
        on
            (rules.rule_type = 'agent_contains' and lower(agents.user_agent) like concat('%', rules.pattern, '%'))
            or (rules.rule_type = 'agent_equals' and lower(agents.user_agent) = rules.pattern)
    group by agents.user_agent

),

limits as (

    select
        min(limit_value) filter (where rule_type = 'seconds_after_delivery') as seconds_after_delivery,
        min(limit_value) filter (where rule_type = 'messages_per_second') as messages_per_second

    from {{ ref('machine_open_rules') }}

),

deliveries as (

    select
        message_id,
        min(reacted_at) as delivered_at

    from reactions
    where reaction_type = 'delivered'
    group by message_id

),

-- so many messages opened by one user agent within one second that no readers can have done it; the other messages count, too
crowded_seconds as (

    select
        openings.user_agent,
        openings.opened_second

    from (
        select
            message_id,
            coalesce(user_agent, '') as user_agent,
            {{ second_start('reacted_at') }} as opened_second

        from {{ ref('stg_marketing__reactions') }}
        where reaction_type = 'opened'
    ) as openings
    semi join reactions on openings.opened_second = reactions.reacted_second
    group by openings.user_agent, openings.opened_second
    having count(distinct openings.message_id) >= (select messages_per_second from limits)

),

messages as (

    select
        messages.message_id,
        messages.campaign_id,
        messages.sent_at,
        identity.customer_id,
        campaigns.coupon_code,
        case
            when coalesce(campaigns.reports_conversions, windows.conversions_from = 'reports') then 0
            else windows.window_hours
        end as order_window_hours

    from {{ ref('stg_marketing__messages') }} as messages
    inner join {{ ref('int_customer_identity') }} as identity on messages.customer_id = identity.source_customer_id
    left join {{ ref('stg_marketing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    left join {{ ref('reaction_windows') }} as windows on coalesce(campaigns.medium, 'unknown') = windows.medium
    {{ semi_join_touched('int_touched_messages', 'messages', ['message_id']) }}

),

reported as (

    select
        reactions.reaction_id,
        reactions.message_id,
        reactions.order_id,
        reactions.reaction_type,
        reactions.bounce_type,
        'reported' as evidence,
        machine_agents.user_agent is not null
        or (
            reactions.reaction_type = 'opened'
            and (
                crowded_seconds.user_agent is not null
                or (
                    deliveries.message_id is not null
                    and coalesce(
                        {{ hours_between('deliveries.delivered_at', 'reactions.reacted_at') }} * 3600
                        between 0 and limits.seconds_after_delivery,
                        false
                    )
                )
            )
        ) as is_machine,
        reactions.reacted_at

    from reactions
    cross join limits
    left join machine_agents on reactions.user_agent = machine_agents.user_agent
    left join deliveries on reactions.message_id = deliveries.message_id
    left join crowded_seconds
        on
            reactions.reaction_type = 'opened'
            and coalesce(reactions.user_agent, '') = crowded_seconds.user_agent
            and reactions.reacted_second = crowded_seconds.opened_second

),

derived as (

    select
        {{ hash_key(['messages.message_id', 'orders.order_id']) }} as reaction_id,
        messages.message_id,
        orders.order_id,
        'converted' as reaction_type,
        cast(null as {{ dbt.type_string() }}) as bounce_type,
        case when lower(orders.coupon_code) = lower(messages.coupon_code) then 'coupon' else 'order' end as evidence,
        false as is_machine,
        orders.ordered_at as reacted_at

    from messages
    inner join {{ ref('int_orders_enriched') }} as orders
        on
            messages.customer_id = orders.customer_id
            and orders.is_kept
            and messages.sent_at < orders.ordered_at
            and (
                lower(orders.coupon_code) = lower(messages.coupon_code)
                or orders.ordered_at <= {{ add_minutes('messages.sent_at', '60 * messages.order_window_hours') }}
            )
    left join reported
        on
            messages.message_id = reported.message_id
            and orders.order_id = reported.order_id
            and reported.reaction_type = 'converted'
    where
        (messages.coupon_code is not null or messages.order_window_hours > 0)
        and reported.message_id is null

),

-- dated before they are joined: a time zone that is the same for all rows is looked up once
happened as (

    select
        reactions.*,
        {{ business_date('reactions.reacted_at', 'run.business_timezone') }} as reaction_date
    from (
        select * from reported
        union all
        select * from derived
    ) as reactions
    cross join {{ source('control', 'run_parameters') }} as run

),

final as (

    select
        happened.reaction_id,
        happened.message_id,
        messages.campaign_id,
        messages.customer_id,
        happened.order_id,
        happened.reaction_type,
        happened.bounce_type,
        happened.evidence,
        happened.is_machine,
        happened.reacted_at,
        happened.reaction_date

    from happened
    inner join messages on happened.message_id = messages.message_id

)

select * from final
