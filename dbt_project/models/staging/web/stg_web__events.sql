{{ config(
    pre_hook="{{ remember_touched('web_events', ['event_id'], carry=['visitor_id']) }}",
    meta={'touched_by': [{'table': 'control.touched_web_events', 'columns': ['event_id']}]}
) }}

with

current_rows as (

    {{ current_rows('web_events', key=['event_id']) | indent(4) }}

),

final as (

    select
        event_id,
        visitor_id,
        customer_id,
        order_id,

        event_type,
        page_path,
        referrer,
        utm_source,
        utm_medium,
        utm_campaign,
        device,
        user_agent,

        event_at,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
