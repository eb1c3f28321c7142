{#
    What may have led a customer to an order: messages that were opened by their reader or clicked, mail and calls that were
    followed by an order (nobody sees those opened), sessions of tagged links, and direct sessions, which can take the last touch and
    nothing else. A session that a click on a message began is that message's touch.
#}
{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_paths', 'columns': ['customer_id']}]}
) }}

with

windows as (

    select * from {{ ref('reaction_windows') }}

),

message_touches as (

    select
        messages.message_id,
        messages.campaign_id,
        messages.customer_id,
        coalesce(messages.medium, 'unknown') as channel,
        coalesce(
            least(messages.human_opened_at, messages.clicked_at),
            case when windows.conversions_from = 'orders' and messages.converted_at is not null then messages.sent_at end
        ) as first_at,
        messages.clicked_at,
        windows.attribution_hours

    from {{ ref('fct_campaign_messages') }} as messages
    {{ semi_join_touched('int_touched_paths', 'messages', ['customer_id']) }}
    inner join windows on coalesce(messages.medium, 'unknown') = windows.medium
    where not messages.is_control

),

sessions as (

    select
        sessions.session_id,
        sessions.customer_id,
        sessions.started_at,
        coalesce(nullif(campaigns.medium, 'ads'), sessions.channel_group) as channel,
        campaigns.campaign_id,
        lower(sessions.channel_group) = 'direct' as is_direct,
        windows.attribution_hours

    from {{ ref('fct_web_sessions') }} as sessions
    {{ semi_join_touched('int_touched_paths', 'sessions', ['customer_id']) }}
    left join {{ ref('dim_campaign') }} as campaigns on sessions.utm_campaign = campaigns.campaign_id
    inner join windows on coalesce(campaigns.medium, 'unknown') = windows.medium
    where
        sessions.customer_id is not null
        and (
            coalesce(sessions.utm_source, sessions.utm_medium, sessions.utm_campaign) is not null
            or lower(sessions.channel_group) = 'direct'
        )

),

clicks as (

    select
        campaign_id,
        customer_id,
        clicked_at

    from message_touches
    where clicked_at is not null

),

sessions_of_clicks as (

    select sessions.session_id

    from sessions
    inner join clicks
        on
            sessions.customer_id = clicks.customer_id
            and sessions.campaign_id = clicks.campaign_id
            and sessions.started_at >= {{ add_minutes('clicks.clicked_at', '-30') }}
            and sessions.started_at <= {{ add_minutes('clicks.clicked_at', '30') }}

),

final as (

    select
        concat('message:', message_id) as touch_id,
        'message' as touch_type,
        customer_id,
        campaign_id,
        channel,
        false as is_direct,
        first_at,
        clicked_at,
        attribution_hours

    from message_touches
    where first_at is not null

    union all

    select
        concat('session:', sessions.session_id) as touch_id,
        'session' as touch_type,
        sessions.customer_id,
        sessions.campaign_id,
        sessions.channel,
        sessions.is_direct,
        sessions.started_at as first_at,
        cast(null as timestamp) as clicked_at,
        sessions.attribution_hours

    from sessions
    anti join sessions_of_clicks on sessions.session_id = sessions_of_clicks.session_id

)

select * from final
