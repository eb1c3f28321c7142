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

campaigns as (

    select
        campaign_id,
        medium

    from {{ ref('stg_marketing__campaigns') }}

),

-- Events of one half hour are never more than 30 minutes apart, so they are of one session: the gaps
-- need looking for between half hours only, and only numbers and times go through the windows.
half_hours as (

    select
        visitor_id,
        half_hour,
        min(event_at) as first_at,
        max(event_at) as last_at,
        count(*) as events,
        count(*) filter (where event_type = 'page_view') as page_views,
        count(*) filter (where event_type = 'product_view') as product_views,
        count(*) filter (where event_type = 'add_to_cart') as add_to_carts,
        count(*) filter (where event_type = 'purchase') as purchases

    from events
    group by
        visitor_id,
        half_hour

),

gaps as (

    select
        *,
        lag(last_at) over (partition by visitor_id order by half_hour) as previous_at

    from half_hours

),

numbered as (

    select
        *,
        sum(case when first_at <= {{ add_minutes('previous_at', 30) }} then 0 else 1 end) over (
            partition by visitor_id
            order by half_hour
            rows between unbounded preceding and current row
        ) as session_number

    from gaps

),

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

final as (

    select
        {{ hash_key(['sessions.visitor_id', 'sessions.started_at']) }} as session_id,
        sessions.visitor_id,
        -- who signed in; else the one person that the device is known to be of
        coalesce(identity.customer_id, known_visitors.customer_id) as customer_id,

        sessions.started_at,
        sessions.ended_at,
        {{ business_date('sessions.started_at', 'run.business_timezone') }} as session_date,

        cast(sessions.events as bigint) as events,
        cast(sessions.page_views as bigint) as page_views,
        cast(sessions.product_views as bigint) as product_views,
        cast(sessions.add_to_carts as bigint) as add_to_carts,
        cast(sessions.purchases as bigint) as purchases,
        details.order_id,

        details.tags.utm_source as utm_source,
        details.tags.utm_medium as utm_medium,
        details.tags.utm_campaign as utm_campaign,
        -- a link of one of our campaigns is of the campaign's medium, whatever its tag says
        {{ channel_group(
            'lower(details.tags.utm_source)',
            'coalesce(campaigns.medium, lower(details.tags.utm_medium))',
            'lower(entries.entry.referrer)'
        ) | indent(8) }} as channel_group,
        entries.entry.page_path as landing_page,
        entries.entry.device as device

    from sessions
    cross join run
    inner join entries
        on
            sessions.visitor_id = entries.visitor_id
            and sessions.session_number = entries.session_number
    left join details
        on
            sessions.visitor_id = details.visitor_id
            and sessions.session_number = details.session_number
    left join campaigns on details.tags.utm_campaign = campaigns.campaign_id
    left join {{ ref('int_customer_identity') }} as identity on details.customer_id = identity.source_customer_id
    left join {{ ref('int_record_identity') }} as known_visitors
        on
            sessions.visitor_id = known_visitors.source_id
            and known_visitors.record_kind = 'visitor'

)

select * from final
