with

reactions as (

    select * from {{ ref('stg_marketing__reactions') }}

),

messages as (

    select
        message_id,
        campaign_id,
        customer_id

    from {{ ref('stg_marketing__messages') }}

),

identity as (

    select * from {{ ref('int_customer_identity') }}

),

run as (

    select * from {{ source('control', 'run_parameters') }}

),

final as (

    select
        reactions.reaction_id,
        reactions.message_id,
        messages.campaign_id,
        identity.customer_id,
        reactions.order_id,

        reactions.reaction_type,
        {{ is_machine_user_agent('reactions.user_agent') | indent(8) }} as is_machine,

        reactions.reacted_at,
        {{ business_date('reactions.reacted_at', 'run.business_timezone') }} as reaction_date

    from reactions
    inner join messages on reactions.message_id = messages.message_id
    inner join identity on messages.customer_id = identity.source_customer_id
    cross join run

)

select * from final
