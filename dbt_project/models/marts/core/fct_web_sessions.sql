{{ config(
    materialized='incremental',
    incremental_strategy='touched',
    on_schema_change='fail',
    meta={'touched_by': [{'table': 'intermediate.int_touched_visitors', 'columns': ['visitor_id']}]}
) }}

with

events as (

    select
        *,
        {{ half_hour_number('event_at') }} as half_hour

    from {{ ref('stg_web__events') }} as events
    {{ semi_join_touched('int_touched_visitors', 'events', ['visitor_id']) }}

),

run as (

    select * from {{ source('control', 'run_parameters') }}

),

{{ numbered_half_hours('events') }},

sessions as (

    select
        visitor_id,
        session_number,
        min(first_at) as started_at,
        max(last_at) as ended_at,
        sum(events) as events,
        sum(page_views) as page_views,
        sum(product_views) as product_views,
        sum(add_to_carts) as add_to_carts,
        sum(purchases) as purchases

    from numbered
    group by
        visitor_id,
        session_number

),

entries as (

    select
        sessions.visitor_id,
        sessions.session_number,
        min_by(
            {{ record(['page_path', 'referrer', 'device']) }},
            events.event_id
        ) as entry

    from events
    inner join sessions
        on
            events.visitor_id = sessions.visitor_id
            and events.event_at = sessions.started_at
    group by
        sessions.visitor_id,
        sessions.session_number

),

-- the few events that say who came, from where, or what was bought
telling_events as (

    select
        *,
        coalesce(utm_source, utm_medium, utm_campaign) is not null as is_tagged,
        event_type = 'purchase' and order_id is not null as is_order

    from events
    where
        coalesce(utm_source, utm_medium, utm_campaign) is not null
        or customer_id is not null
        or order_id is not null

),

details as (

    select
        numbered.visitor_id,
        numbered.session_number,
        min_by(
            {{ record(['utm_source', 'utm_medium', 'utm_campaign']) }},
            {{ record(['event_at', 'event_id']) }}
        ) filter (where telling_events.is_tagged) as tags,
        max_by(
            telling_events.customer_id,
            {{ record(['event_at', 'event_id']) }}
        ) filter (where telling_events.customer_id is not null) as customer_id,
        max_by(
            telling_events.order_id,
            {{ record(['event_at', 'event_id']) }}
        ) filter (where telling_events.is_order) as order_id

    from telling_events
    inner join numbered
        on
            telling_events.visitor_id = numbered.visitor_id
            and telling_events.half_hour = numbered.half_hour
    group by
        numbered.visitor_id,
        numbered.session_number

),

{{ bot_sessions() }},

first_known as (

    select
        visitor_id,
        min(event_at) as first_known_at

    from telling_events
    where
        customer_id is not null
        or order_id is not null
    group by visitor_id

),

told as (

    select
        sessions.*,
        details.customer_id as source_customer_id,
        details.order_id,
        details.tags,
        entries.entry,
        coalesce(details.tags.utm_source, details.tags.utm_medium, details.tags.utm_campaign) is not null as is_tagged,
        nullif(campaigns.medium, 'ads') as own_medium,
        campaigns.medium as campaign_medium

    from sessions
    inner join entries
        on
            sessions.visitor_id = entries.visitor_id
            and sessions.session_number = entries.session_number
    left join details
        on
            sessions.visitor_id = details.visitor_id
            and sessions.session_number = details.session_number
    left join {{ ref('stg_marketing__campaigns') }} as campaigns on details.tags.utm_campaign = campaigns.campaign_id

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
            when bot_sessions.visitor_id is not null then null
            when identity.customer_id is not null then identity.customer_id
            when {{ add_minutes('traffic.started_at', 1440 * var('web_stitching_days')) }} >= first_known.first_known_at
                then known_visitors.customer_id
        end as customer_id,
        bot_sessions.visitor_id is not null as is_bot,

        traffic.started_at,
        traffic.ended_at,
        {{ business_date('traffic.started_at', 'run.business_timezone') }} as session_date,

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
    cross join run
    inner join channel_groups
        on
            traffic.source = channel_groups.source
            and traffic.medium = channel_groups.medium
            and traffic.campaign = channel_groups.campaign
    left join bot_sessions
        on
            traffic.visitor_id = bot_sessions.visitor_id
            and traffic.session_number = bot_sessions.session_number
    left join first_known on traffic.visitor_id = first_known.visitor_id
    left join {{ ref('int_customer_identity') }} as identity on traffic.source_customer_id = identity.source_customer_id
    left join {{ ref('int_record_identity') }} as known_visitors
        on
            traffic.visitor_id = known_visitors.source_id
            and known_visitors.record_kind = 'visitor'

)

select * from final
