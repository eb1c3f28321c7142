with

touched_sessions as (

    select sessions.customer_id

    from {{ ref('fct_web_sessions') }} as sessions
    semi join {{ ref('int_touched_visitors') }} as visitors on sessions.visitor_id = visitors.visitor_id

),

changed_channels as (

    select *
    from {{ differing_rows(
        source('control', 'last_channels'), ref('dim_channel'), ['channel_id', 'channel_type']
    ) | indent(4) }} as differing

),

customers_of_channels as (

    select activity.customer_id

    from {{ ref('int_customer_activity_monthly') }} as activity
    semi join changed_channels on activity.channel_id = changed_channels.channel_id

),

changed_first_months as (

    select *
    from {{ differing_rows(source('control', 'last_first_month'), ref('int_first_month'), ['month_index']) | indent(4) }} as differing

),

all_customers as (

    select customers.customer_id

    from {{ ref('dim_customer') }} as customers
    where exists (select 1 from changed_first_months)

),

final as (

    select customer_id from {{ ref('int_touched_buyers') }}
    union
    select customer_id from touched_sessions
    where customer_id is not null
    union
    select customer_id from {{ source('control', 'last_session_customers') }}
    where customer_id is not null
    union
    select customer_id from customers_of_channels
    where customer_id is not null
    union
    select customer_id from all_customers

)

select * from final
