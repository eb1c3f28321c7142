with

events as (

    select
        event_id,
        visitor_id,
        customer_id,
        order_id,
        event_type,
        page_path,
        lower(referrer) as referrer,
        utm_source,
        utm_medium,
        utm_campaign,
        device,
        event_at,
        {{ half_hour_number('event_at') }} as half_hour

    from {{ ref('stg_web__events') }}

),

run as (

    select * from {{ source('control', 'run_parameters') }}

),

identity as (

    select * from {{ ref('int_customer_identity') }}

),

campaigns as (

    select
        campaign_id,
        medium

    from {{ ref('stg_marketing__campaigns') }}

),

-- Events of one half hour are never more than 30 minutes apart, so they are of one session: the gaps
-- need looking for between half hours only.
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
        count(*) filter (where event_type = 'purchase') as purchases,
        min({{ record(['event_at', 'event_id', 'page_path', 'referrer', 'device']) }}) as entry,
        min(
            case
                when coalesce(utm_source, utm_medium, utm_campaign) is not null
                    then {{ record(['event_at', 'event_id', 'utm_source', 'utm_medium', 'utm_campaign']) }}
            end
        ) as tagged,
        max(case when customer_id is not null then {{ record(['event_at', 'event_id', 'customer_id']) }} end) as signed_in,
        max(
            case
                when event_type = 'purchase' and order_id is not null
                    then {{ record(['event_at', 'event_id', 'order_id']) }}
            end
        ) as purchase

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
        sum(purchases) as purchases,
        min(entry) as entry,
        min(tagged) as tagged,
        max(signed_in) as signed_in,
        max(purchase) as purchase

    from numbered
    group by
        visitor_id,
        session_number

),

final as (

    select
        {{ hash_key(['sessions.visitor_id', 'sessions.started_at']) }} as session_id,
        sessions.visitor_id,
        identity.customer_id,

        sessions.started_at,
        sessions.ended_at,
        {{ business_date('sessions.started_at', 'run.business_timezone') }} as session_date,

        cast(sessions.events as bigint) as events,
        cast(sessions.page_views as bigint) as page_views,
        cast(sessions.product_views as bigint) as product_views,
        cast(sessions.add_to_carts as bigint) as add_to_carts,
        cast(sessions.purchases as bigint) as purchases,
        sessions.purchase.order_id as order_id,

        sessions.tagged.utm_source as utm_source,
        sessions.tagged.utm_medium as utm_medium,
        sessions.tagged.utm_campaign as utm_campaign,
        -- a link of one of our campaigns is of the campaign's medium, whatever its tag says
        {{ channel_group(
            'lower(sessions.tagged.utm_source)',
            'coalesce(campaigns.medium, lower(sessions.tagged.utm_medium))',
            'sessions.entry.referrer'
        ) | indent(8) }} as channel_group,
        sessions.entry.page_path as landing_page,
        sessions.entry.device as device

    from sessions
    cross join run
    left join campaigns on sessions.tagged.utm_campaign = campaigns.campaign_id
    left join identity on sessions.signed_in.customer_id = identity.source_customer_id

)

select * from final
