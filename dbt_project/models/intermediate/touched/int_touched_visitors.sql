{#- DuckDB keeps what a CTE holds that is read twice: the events themselves are read twice for a quarter of that. -#}
with

campaigns as (

    select *
    from {{ differing_rows(
        source('control', 'last_campaigns'), ref('stg_marketing__campaigns'), ['campaign_id', 'medium']
    ) | indent(4) }} as differing

),

visitors_of_accounts as (

    select events.visitor_id

    from {{ ref('stg_web__events') }} as events
    semi join {{ ref('int_touched_identities') }} as identities on events.customer_id = identities.source_customer_id

),

visitors_of_campaigns as (

    select events.visitor_id

    from {{ ref('stg_web__events') }} as events
    semi join campaigns on events.utm_campaign = campaigns.campaign_id

),

final as (

    select visitor_id from {{ source('control', 'touched_web_events') }}
    union
    select visitor_id from visitors_of_accounts
    union
    select source_id as visitor_id from {{ ref('int_touched_records') }}
    where record_kind = 'visitor'
    union
    select visitor_id from visitors_of_campaigns

)

select * from final
