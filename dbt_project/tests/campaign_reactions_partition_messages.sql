{%- set both = ['stg_marketing__messages', 'fct_campaign_messages'] %}
{{ config(meta={
    'dagster': {'ref': {'name': 'fct_campaign_messages'}},
    'by_key': {'tables': both, 'key': 'campaign_id', 'replaced_in': both}
}) }}
-- For each campaign and day: messages as delivered = rows of the fact = the sum over the eight reactions.
with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

delivered as (

    select
        messages.campaign_id,
        {{ business_date('messages.sent_at', 'run.business_timezone') }} as sent_date,
        count(*) as messages

    from {{ ref('stg_marketing__messages') }} as messages
    cross join run
    group by all

),

shown as (

    select
        campaign_id,
        sent_date,
        count(*) as messages,
        {% for reaction in ['complained', 'unsubscribed', 'converted', 'clicked', 'opened', 'bounced', 'no_reaction', 'pending'] -%}
            count(*) filter (where reaction = '{{ reaction }}'){{ ' + ' if not loop.last else ' as reactions' }}
        {% endfor %}

    from {{ ref('fct_campaign_messages') }}
    group by all

),

final as (

    select
        coalesce(delivered.campaign_id, shown.campaign_id) as campaign_id,
        coalesce(delivered.sent_date, shown.sent_date) as sent_date,
        delivered.messages as delivered_messages,
        shown.messages,
        shown.reactions

    from delivered
    full join shown
        on
            delivered.campaign_id = shown.campaign_id
            and delivered.sent_date = shown.sent_date
    where
        delivered.messages is null
        or shown.messages is null
        or delivered.messages <> shown.messages
        or shown.messages <> shown.reactions

)

select * from final
