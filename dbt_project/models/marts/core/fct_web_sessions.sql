{{ config(
    materialized='incremental',
    pre_hook={'transaction': false, 'sql': "{{ remember_last(
        'session_customers', this, {'customer_id': dbt.type_string()}, 'intermediate.int_touched_visitors', ['visitor_id']
    ) }}"},
    meta={'touched_by': [{'table': 'intermediate.int_touched_visitors', 'columns': ['visitor_id']}]}
) }}

{#- A night picks the touched visitors' events once: reading them is most of it, as they are everywhere. -#}
{%- set events = 'touched_events' if not execute or touched_only() else ref('stg_web__events') -%}
with

{% if events == 'touched_events' -%}
    touched_events as (
        select events.* from {{ ref('stg_web__events') }} as events
        {{ semi_join_touched('int_touched_visitors', 'events', ['visitor_id']) }}
    ),

{% endif -%}

-- user agents are few, events many
agents as (

    select events.user_agent

    from {{ events }} as events
    where events.user_agent is not null
    group by events.user_agent

),

bot_agents as (

    select agents.user_agent

    from agents
    inner join {{ ref('web_bot_rules') }} as rules
        on
            rules.rule_type = 'agent_contains'
            and lower(agents.user_agent) like concat('%', rules.pattern, '%')
    group by agents.user_agent

),

-- Events of one half hour are never more than 30 minutes apart, so they are of one session: the gaps need looking for between half
-- hours only, and only times go through the windows.
half_hours as (

    select
        events.visitor_id,
        {{ half_hour_number('events.event_at') }} as half_hour,
        min(events.event_at) as first_at,
        max(events.event_at) as last_at,
        count(*) as events,
        count(bot_agents.user_agent) as events_of_bots,
        min(events.event_at) filter (where events.customer_id is not null or events.order_id is not null) as known_at

    from {{ events }} as events
    left join bot_agents on events.user_agent = bot_agents.user_agent
    group by events.visitor_id, {{ half_hour_number('events.event_at') }}

),

bot_limits as (

    select min(limit_value) as events_per_half_hour
    from {{ ref('web_bot_rules') }}
    where rule_type = 'events_per_half_hour'

),

gaps as (

    select
        *,
        coalesce(first_at > {{ add_minutes('lag(last_at) over visits', 30) }}, true) as is_start,
        min(known_at) over (partition by visitor_id) as first_known_at

    from half_hours
    window visits as (partition by visitor_id order by half_hour)

),

parts_of_sessions as (

    select
        visitor_id,
        half_hour,
        case when events_of_bots > 0 or events >= (select events_per_half_hour from bot_limits) then 1 else 0 end as is_of_bot,
        first_known_at,
        max(case when is_start then first_at end) over (
            partition by visitor_id
            order by half_hour
            rows between unbounded preceding and current row
        ) as started_at

    from gaps

),

sessions as (

    select
        events.visitor_id,
        parts.started_at,
        max(events.event_at) as ended_at,
        count(*) as events,
        max(parts.is_of_bot) = 1 as is_bot,
        min(parts.first_known_at) as first_known_at,
        count(*) filter (where events.event_type = 'page_view') as page_views,
        count(*) filter (where events.event_type = 'product_view') as product_views,
        count(*) filter (where events.event_type = 'add_to_cart') as add_to_carts,
        count(*) filter (where events.event_type = 'purchase') as purchases,
        min_by({{ record(['page_path', 'referrer', 'device']) }}, events.event_id) filter (
            where events.event_at = parts.started_at
        ) as entry,
        min_by({{ record(['utm_source', 'utm_medium', 'utm_campaign']) }}, {{ record(['event_at', 'event_id']) }}) filter (
            where coalesce(events.utm_source, events.utm_medium, events.utm_campaign) is not null
        ) as tags,
        max_by(events.customer_id, {{ record(['event_at', 'event_id']) }}) filter (
            where events.customer_id is not null
        ) as customer_id,
        max_by(events.order_id, {{ record(['event_at', 'event_id']) }}) filter (
            where events.event_type = 'purchase' and events.order_id is not null
        ) as order_id

    from {{ events }} as events
    inner join parts_of_sessions as parts
        on
            events.visitor_id = parts.visitor_id
            and {{ half_hour_number('events.event_at') }} = parts.half_hour
    group by events.visitor_id, parts.started_at

),

-- dated before they are joined: a time zone that is the same for all rows is looked up once
dated as (

    select
        sessions.*,
        {{ business_date('sessions.started_at', 'run.business_timezone') }} as session_date

    from sessions
    cross join {{ source('control', 'run_parameters') }} as run

),

told as (

    select
        dated.*,
        coalesce(dated.tags.utm_source, dated.tags.utm_medium, dated.tags.utm_campaign) is not null as is_tagged,
        nullif(campaigns.medium, 'ads') as own_medium,
        campaigns.medium as campaign_medium

    from dated
    left join {{ ref('stg_marketing__campaigns') }} as campaigns on dated.tags.utm_campaign = campaigns.campaign_id

),

traffic as (

    select
        *,
        {{ ways_in() | indent(8) }}

    from told

),

{{ channel_groups('traffic') }},

final as (

    select
        {{ hash_key(['traffic.visitor_id', 'traffic.started_at']) }} as session_id,
        traffic.visitor_id,
        -- who signed in; else the one person that the device is known to be of, from so long before it was first known
        case
            when traffic.is_bot then null
            when identity.customer_id is not null then identity.customer_id
            when {{ add_minutes('traffic.started_at', 1440 * var('web_stitching_days')) }} >= traffic.first_known_at
                then known_visitors.customer_id
        end as customer_id,
        traffic.is_bot,

        traffic.started_at,
        traffic.ended_at,
        traffic.session_date,

        cast(traffic.events as bigint) as events,
        cast(traffic.page_views as bigint) as page_views,
        cast(traffic.product_views as bigint) as product_views,
        cast(traffic.add_to_carts as bigint) as add_to_carts,
        cast(traffic.purchases as bigint) as purchases,
        traffic.order_id,

        traffic.tags.utm_source as utm_source,
        traffic.tags.utm_medium as utm_medium,
        traffic.tags.utm_campaign as utm_campaign,
        channel_groups.channel_group,
        traffic.entry.page_path as landing_page,
        traffic.entry.device as device

    from traffic
    inner join channel_groups
        on
            traffic.source = channel_groups.source
            and traffic.medium = channel_groups.medium
            and traffic.campaign = channel_groups.campaign
    left join {{ ref('int_customer_identity') }} as identity on traffic.customer_id = identity.source_customer_id
    left join {{ ref('int_record_identity') }} as known_visitors
        on
            traffic.visitor_id = known_visitors.source_id
            and known_visitors.record_kind = 'visitor'

)

select * from final
