{#
    What was planned with exported audiences, beside what was sent; and what was sent without a plan by campaigns that have one. Only what was
    planned by the end of as_of_date: a night that runs again finds the same.
#}
with

run as (

    select as_of_date from {{ source('control', 'run_parameters') }}

),

-- accounts of one customer are one plan
plans as (

    select
        planned.audience,
        planned.campaign_id,
        identity.customer_id,
        planned.medium,
        planned.planned_group,
        planned.planned_on,
        max(case when planned.withdrawn_on <= run.as_of_date then planned.withdrawn_on else date '9999-12-31' end) as planned_until

    from {{ source('activation', 'planned_actions') }} as planned
    inner join {{ ref('int_customer_identity') }} as identity on planned.account_id = identity.source_customer_id
    cross join run
    where planned.planned_on <= run.as_of_date
    group by
        planned.audience,
        planned.campaign_id,
        identity.customer_id,
        planned.medium,
        planned.planned_group,
        planned.planned_on

),

messages as (

    select messages.*

    from {{ ref('fct_campaign_messages') }} as messages
    semi join plans on messages.campaign_id = plans.campaign_id
    where not coalesce(messages.is_control, false)

),

campaigns as (

    select
        plans.campaign_id,
        min(plans.planned_on) as first_planned_on,
        coalesce(max(described.ended_on) < max(run.as_of_date), false) as is_over

    from plans
    cross join run
    left join {{ ref('dim_campaign') }} as described on plans.campaign_id = described.campaign_id
    group by plans.campaign_id

),

-- the first message within the time of each plan
answers as (

    select
        plans.audience,
        plans.campaign_id,
        plans.customer_id,
        plans.planned_group,
        plans.planned_on,
        messages.message_id,
        row_number() over (
            partition by plans.audience, plans.campaign_id, plans.customer_id, plans.planned_group, plans.planned_on
            order by messages.sent_at, messages.message_id
        ) as place

    from plans
    inner join messages
        on
            plans.campaign_id = messages.campaign_id
            and plans.customer_id = messages.customer_id
            and plans.planned_on <= messages.sent_date
            and plans.planned_until > messages.sent_date

),

planned as (

    select
        plans.audience,
        plans.campaign_id,
        plans.customer_id,
        plans.medium,
        plans.planned_group,
        plans.planned_on,
        nullif(plans.planned_until, date '9999-12-31') as withdrawn_on,
        messages.message_id,
        messages.sent_at,
        messages.reaction,
        case
            when plans.planned_group <> 'treated' and messages.message_id is not null then 'sent_although_held_back'
            when plans.planned_group <> 'treated' then 'held_back'
            when messages.message_id is not null then 'sent'
            when plans.planned_until < date '9999-12-31' then 'withdrawn'
            when campaigns.is_over then 'not_sent'
            else 'waiting'
        end as outcome,
        cast(null as {{ dbt.type_string() }}) as unplanned_id

    from plans
    inner join campaigns on plans.campaign_id = campaigns.campaign_id
    left join answers
        on
            plans.audience = answers.audience
            and plans.campaign_id = answers.campaign_id
            and plans.customer_id = answers.customer_id
            and plans.planned_group = answers.planned_group
            and plans.planned_on = answers.planned_on
            and answers.place = 1
    left join messages on answers.message_id = messages.message_id

),

unplanned as (

    select
        cast(null as {{ dbt.type_string() }}) as audience,
        messages.campaign_id,
        messages.customer_id,
        messages.medium,
        cast(null as {{ dbt.type_string() }}) as planned_group,
        cast(null as date) as planned_on,
        cast(null as date) as withdrawn_on,
        messages.message_id,
        messages.sent_at,
        messages.reaction,
        'not_planned' as outcome,
        messages.message_id as unplanned_id

    from messages
    inner join campaigns
        on
            messages.campaign_id = campaigns.campaign_id
            and messages.sent_date >= campaigns.first_planned_on
    left join answers on messages.message_id = answers.message_id
    where answers.message_id is null

),

actions as (

    select * from planned
    union all
    select * from unplanned

),

final as (

    select
        {{ hash_key(['audience', 'campaign_id', 'customer_id', 'planned_group', 'planned_on', 'unplanned_id']) }} as planned_action_id,
        audience,
        campaign_id,
        customer_id,
        medium,
        planned_group,
        planned_on,
        withdrawn_on,
        message_id,
        sent_at,
        reaction,
        outcome

    from actions

)

select * from final
