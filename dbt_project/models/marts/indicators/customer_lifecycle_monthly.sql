{#
    Spans of months in which nothing changes but time, before a customer's first kept order from the versions of the golden record,
    after it from the orders; then one row per month. The stage depends on the span and the month alone.
#}
{{ config(
    materialized='incremental',
    meta={'of_closed_months': true, 'touched_by': [{'table': 'intermediate.int_touched_people', 'columns': ['customer_id']}]}
) }}

with

states as (

    select states.* from {{ ref('int_customer_value_states') }} as states
    {{ semi_join_touched('int_touched_people', 'states', ['customer_id']) }}

),

activity as (

    select activity.* from {{ ref('int_customer_activity_monthly') }} as activity
    {{ semi_join_touched('int_touched_people', 'activity', ['customer_id']) }}

),

versions as (

    select versions.* from {{ ref('dim_customer') }} as versions
    {{ semi_join_touched('int_touched_people', 'versions', ['customer_id']) }}

),

accounts as (

    select
        customer_id,
        min(created_on) as created_on

    from {{ ref('stg_crm__customers') }}
    group by customer_id

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

{{ last_month() }},

first_orders as (

    select
        customer_id,
        min(from_month) as first_order_month

    from states
    where channel_id is null
    group by customer_id

),

-- from this month on a customer is known otherwise than by a distributor
direct_orders as (

    select
        activity.customer_id,
        min({{ month_index('activity.month_start') }}) as direct_from_month

    from activity
    inner join {{ ref('dim_channel') }} as channels on activity.channel_id = channels.channel_id
    where coalesce(channels.channel_type, '') <> 'distributor'
    group by activity.customer_id

),

contacts as (

    select
        identity.customer_id,
        min({{ month_index('least(identity.first_seen_date, accounts.created_on)') }}) as contact_from_month

    from {{ ref('int_customer_identity') }} as identity
    left join accounts on identity.source_customer_id = accounts.customer_id
    group by identity.customer_id

),

visits as (

    select
        customer_id,
        min({{ month_index('session_date') }}) as visit_from_month

    from {{ ref('fct_web_sessions') }}
    where not is_bot
    group by customer_id

),

people as (

    select
        versions.customer_id,
        versions.is_member,
        {{ month_index('versions.member_since') }} as member_from_month,
        contacts.contact_from_month,
        greatest(
            {{ month_index('versions.valid_from') }},
            least(
                min(case when versions.is_member then {{ month_index('versions.member_since') }} end) over (
                    partition by versions.customer_id
                ),
                contacts.contact_from_month,
                visits.visit_from_month
            )
        ) as from_month,
        least({{ month_index('versions.valid_to') }}, first_orders.first_order_month) - 1 as until_month

    from versions
    left join first_orders on versions.customer_id = first_orders.customer_id
    left join contacts on versions.customer_id = contacts.customer_id
    left join visits on versions.customer_id = visits.customer_id
    where coalesce(contacts.contact_from_month, visits.visit_from_month) is not null

),

spans as (

    select
        people.customer_id,
        greatest(people.from_month, first_month.month_index) as from_month,
        least(people.until_month, last_month.month_index) as until_month,
        coalesce(people.is_member, false) as is_member,
        coalesce(people.member_from_month, 0) as member_from_month,
        people.contact_from_month,
        cast(null as integer) as first_order_month,
        cast(null as integer) as last_order_month,
        cast(null as integer) as reactivated_month,
        cast(null as decimal(18, 2)) as net_12m,
        cast(null as decimal(18, 2)) as previous_net_12m,
        cast(null as integer) as direct_from_month

    from people
    cross join {{ ref('int_first_month') }} as first_month
    cross join last_month
    where
        greatest(people.from_month, first_month.month_index) <= least(people.until_month, last_month.month_index)

    union all

    select
        states.customer_id,
        states.from_month,
        states.until_month,
        false as is_member,
        0 as member_from_month,
        cast(null as integer) as contact_from_month,
        first_orders.first_order_month,
        states.last_order_month,
        states.reactivated_month,
        states.net_12m,
        states.previous_net_12m,
        coalesce(direct_orders.direct_from_month, 999999) as direct_from_month

    from states
    inner join first_orders on states.customer_id = first_orders.customer_id
    left join direct_orders on states.customer_id = direct_orders.customer_id
    where states.channel_id is null

),

linked_spans as (

    select
        *,
        lag({{ lifecycle_stage('until_month') }}) over (partition by customer_id order by from_month) as stage_before

    from spans

),

span_months as (

    select
        *,
        {{ integer_series('from_month', 'until_month') }} as snapshot_month

    from linked_spans

),

final as (

    select
        customer_id,
        cast(last_day({{ month_of_index('snapshot_month') }}) as date) as snapshot_date,
        {{ lifecycle_stage('snapshot_month') }} as stage,
        case
            when snapshot_month = from_month then stage_before
            else {{ lifecycle_stage('snapshot_month - 1') }}
        end as previous_stage,
        coalesce(snapshot_month < direct_from_month, false) as is_distributor_only

    from span_months

)

select * from final
