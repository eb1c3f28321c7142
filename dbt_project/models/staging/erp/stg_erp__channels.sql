with

last_rows as (

    {{ current_rows('channels', key=['channel_id'], keep_removed=true) | indent(4) }}

),

final as (

    select
        channel_id,

        channel_name,
        channel_type,

        is_direct,
        is_listed

    from last_rows

)

select * from final
