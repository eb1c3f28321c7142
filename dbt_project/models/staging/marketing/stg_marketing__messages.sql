with

current_rows as (

    {{ current_rows('campaign_messages', key=['message_id']) | indent(4) }}

),

final as (

    select
        message_id,
        campaign_id,
        customer_id,

        coalesce(is_control, false) as is_control,

        sent_at

    from current_rows

)

select * from final
