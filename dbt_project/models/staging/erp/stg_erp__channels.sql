{{ config(
    pre_hook="{{ remember_touched('channels', ['channel_id']) }}",
    meta={'touched_by': [{'table': 'control.touched_channels', 'columns': ['channel_id']}]}
) }}

with

last_rows as (

    {{ current_rows('channels', key=['channel_id'], columns=['channel_name', 'channel_type', 'is_direct']) | indent(4) }}

),

final as (

    select
        channel_id,

        channel_name,
        channel_type,

        is_direct,
        is_listed,
        _delivery_date as delivery_date

    from last_rows

)

select * from final
