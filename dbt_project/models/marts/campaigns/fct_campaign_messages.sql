{{ config(
    materialized='incremental',
    pre_hook={'transaction': false, 'sql': "{{ remember_last('messages', this, {
        'message_id': dbt.type_string(), 'campaign_id': dbt.type_string(), 'customer_id': dbt.type_string(), 'medium': dbt.type_string(),
        'is_control': 'boolean', 'sent_at': 'timestamp', 'human_opened_at': 'timestamp', 'clicked_at': 'timestamp', 'converted_at': 'timestamp'
    }, 'intermediate.int_touched_messages', ['message_id']) }}"},
    meta={'touched_by': [{'table': 'intermediate.int_touched_messages', 'columns': ['message_id']}], 'referenced': ['message_id', 'campaign_id']}
) }}

with

run as (

    select
        business_timezone,
        -- the end of the last day, in business time
        {{ business_day_start(add_days('as_of_date', 1), 'business_timezone') }} as as_of_at

    from {{ source('control', 'run_parameters') }}

),

-- dated before they are joined: a time zone that is the same for all rows is looked up once
sent as (

    select
        messages.*,
        {{ business_date('messages.sent_at', 'run.business_timezone') }} as sent_date,
        run.as_of_at

    from {{ ref('stg_marketing__messages') }} as messages
    {{ semi_join_touched('int_touched_messages', 'messages', ['message_id']) }}
    cross join run

),

messages as (

    select
        messages.message_id,
        messages.campaign_id,
        identity.customer_id,
        campaigns.medium,
        messages.is_control,
        messages.arm,
        messages.sent_at,
        messages.sent_date,
        messages.as_of_at < {{ add_minutes('messages.sent_at', '60 * windows.window_hours') }} as is_window_open

    from sent as messages
    inner join {{ ref('int_customer_identity') }} as identity
        on messages.customer_id = identity.source_customer_id
    left join {{ ref('stg_marketing__campaigns') }} as campaigns
        on messages.campaign_id = campaigns.campaign_id
    left join {{ ref('reaction_windows') }} as windows
        on coalesce(campaigns.medium, 'unknown') = windows.medium

),

reactions as (

    select
        message_id,
        min(reacted_at) filter (where reaction_type = 'delivered') as delivered_at,
        min(reacted_at) filter (where reaction_type = 'opened') as opened_at,
        min(reacted_at) filter (where reaction_type = 'opened' and not is_machine) as human_opened_at,
        min(reacted_at) filter (where reaction_type = 'clicked') as clicked_at,
        min(reacted_at) filter (where reaction_type = 'converted') as converted_at,
        min(reacted_at) filter (where reaction_type = 'unsubscribed') as unsubscribed_at,
        min(reacted_at) filter (where reaction_type = 'complained') as complained_at,
        min(reacted_at) filter (where reaction_type = 'bounced') as bounced_at,
        -- a coupon may be reported without its order
        min({{ record(['reacted_at', 'reaction_id', 'order_id']) }})
        filter (where reaction_type = 'converted' and order_id is not null) as conversion

    from {{ ref('fct_campaign_reactions') }} as reactions
    {{ semi_join_touched('int_touched_messages', 'reactions', ['message_id']) }}
    group by message_id

),

decided as (

    select
        messages.*,
        reactions.delivered_at,
        reactions.opened_at,
        reactions.human_opened_at,
        reactions.opened_at is not null and reactions.human_opened_at is null as is_machine_open,
        reactions.clicked_at,
        reactions.unsubscribed_at,
        reactions.complained_at,
        reactions.bounced_at,
        reactions.converted_at,
        reactions.conversion.order_id as order_id,
        case
            when reactions.complained_at is not null then 'complained'
            when reactions.unsubscribed_at is not null then 'unsubscribed'
            when reactions.converted_at is not null then 'converted'
            when reactions.clicked_at is not null then 'clicked'
            when reactions.opened_at is not null then 'opened'
            when reactions.bounced_at is not null then 'bounced'
            when messages.is_window_open then 'pending'
            else 'no_reaction'
        end as reaction,
        coalesce(
            reactions.complained_at,
            reactions.unsubscribed_at,
            reactions.converted_at,
            reactions.clicked_at,
            reactions.opened_at,
            reactions.bounced_at
        ) as decided_at

    from messages
    left join reactions on messages.message_id = reactions.message_id

),

final as (

    select
        message_id,
        campaign_id,
        customer_id,
        medium,

        sent_at,
        sent_date,
        delivered_at,
        opened_at,
        human_opened_at,
        is_machine_open,
        clicked_at,
        unsubscribed_at,
        complained_at,
        bounced_at,
        converted_at,

        order_id,
        reaction,
        {{ hours_between('sent_at', 'decided_at') }} as reaction_hours,
        is_control,
        arm

    from decided

)

select * from final
