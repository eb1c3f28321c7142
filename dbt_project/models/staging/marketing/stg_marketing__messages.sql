{{ config(
    pre_hook="{{ remember_touched('campaign_messages', ['message_id']) }}",
    meta={
        'touched_by': [{'table': 'control.touched_campaign_messages', 'columns': ['message_id']}],
        'referenced': ['campaign_id']
    }
) }}

with

current_rows as (

    {{ current_rows('campaign_messages', key=['message_id']) | indent(4) }}

),

final as (

    select
        message_id,
        campaign_id,
        customer_id,

        case when coalesce(is_control, false) then 'control' else coalesce(arm, 'treated') end as arm,

        coalesce(is_control, false) as is_control,

        sent_at,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
