{{ config(
    materialized='incremental',
    incremental_strategy='touched',
    on_schema_change='fail',
    meta={'touched_by': [{'table': 'intermediate.int_touched_messages', 'columns': ['message_id']}]}
) }}

with

reactions as (

    select reactions.*

    from {{ ref('stg_marketing__reactions') }} as reactions
    {{ semi_join_touched('int_touched_messages', 'reactions', ['message_id']) }}

),

-- user agents are few, reactions many
user_agents as (

    select
        user_agent,
        {{ is_machine_user_agent('user_agent') | indent(8) }} as is_machine

    from reactions
    group by user_agent

),

messages as (

    select
        message_id,
        campaign_id,
        customer_id

    from {{ ref('stg_marketing__messages') }} as messages
    {{ semi_join_touched('int_touched_messages', 'messages', ['message_id']) }}

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
        coalesce(user_agents.is_machine, false) as is_machine,

        reactions.reacted_at,
        {{ business_date('reactions.reacted_at', 'run.business_timezone') }} as reaction_date

    from reactions
    inner join messages on reactions.message_id = messages.message_id
    inner join identity on messages.customer_id = identity.source_customer_id
    left join user_agents on reactions.user_agent = user_agents.user_agent
    cross join run

)

select * from final
