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

        reacted_at

    from current_rows

)

select * from final
