{{ config(
    pre_hook="{{ remember_touched('campaign_reactions', ['reaction_id'], carry=['message_id', 'reacted_at']) }}",
    meta={'touched_by': [{'table': 'control.touched_campaign_reactions', 'columns': ['reaction_id']}]}
) }}

with

current_rows as (

    {{ current_rows('campaign_reactions', key=['reaction_id']) | indent(4) }}

),

final as (

    select
        reaction_id,
        message_id,
        order_id,

        reaction_type,
        user_agent,
        bounce_type,

        reacted_at,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
