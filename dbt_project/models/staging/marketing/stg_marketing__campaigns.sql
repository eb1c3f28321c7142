with

last_rows as (

    {{ current_rows('campaigns', key=['campaign_id'], keep_removed=true) | indent(4) }}

),

final as (

    select
        campaign_id,

        campaign_name,
        medium,
        objective,

        has_control_group,
        is_listed,

        started_on,
        ended_on

    from last_rows

)

select * from final
