{%- set decisive = [
    'message_id', 'campaign_id', 'customer_id', 'medium', 'is_control', 'sent_at', 'human_opened_at', 'clicked_at', 'converted_at'
] -%}

with

messages as (

    select messages.*

    from {{ ref('fct_campaign_messages') }} as messages
    semi join {{ ref('int_touched_messages') }} as touched on messages.message_id = touched.message_id

),

-- of the touched messages most are so for their open window only, which decides on no touch
changed_messages as (

    select *
    from {{ differing_rows(source('control', 'last_messages'), 'messages', decisive) | indent(4) }} as differing

),

changed_campaigns as (

    select *
    from {{ differing_rows(
        source('control', 'last_known_campaigns'), ref('dim_campaign'), ['campaign_id', 'medium']
    ) | indent(4) }} as differing

),

sessions_of_campaigns as (

    select sessions.customer_id

    from {{ ref('fct_web_sessions') }} as sessions
    semi join changed_campaigns on sessions.utm_campaign = changed_campaigns.campaign_id
    where sessions.customer_id is not null

),

final as (

    select customer_id from {{ ref('int_touched_people') }}
    union
    select customer_id from changed_messages
    union
    select customer_id from sessions_of_campaigns

)

select * from final
