{#
    Per campaign and arm: customers, and exact sums over them of what they did within the window of comparison (lift_hours) after
    they were sent the message or held back, the same way for both. A customer is of the arm of the first assignment: that alone is
    independent of how many accounts the customer has.
#}
{%- set outcomes = ['visited', 'converted', 'net', 'margin'] -%}

with

messages as (

    select * from {{ ref('fct_campaign_messages') }}
    where
        campaign_id in (
            select campaign_id
            from {{ ref('fct_campaign_messages') }}
            where is_control
        )

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_kept and customer_id is not null

),

run as (

    select
        {{ business_day_start(add_days('as_of_date', 1), 'business_timezone') }} as as_of_at,
        coalesce((
            select max(case when is_present then 1 else 0 end) = 1 from {{ source('control', 'source_tables') }}
            where table_name = 'orders'
        ), false) as has_orders

    from {{ source('control', 'run_parameters') }}

),

assigned as (

    select
        campaign_id,
        customer_id,
        min(coalesce(medium, 'unknown')) as medium,
        min({{ record(['sent_at', 'message_id', 'arm', 'is_control']) }}) as first_row,
        max(case when converted_at is not null then 1 else 0 end) as reported_conversion

    from messages
    group by campaign_id, customer_id

),

controlled as (

    select assigned.campaign_id

    from assigned
    where assigned.first_row.is_control
    group by assigned.campaign_id

),

compared as (

    select
        assigned.campaign_id,
        assigned.customer_id,
        assigned.reported_conversion,
        assigned.first_row.arm as arm,
        assigned.first_row.is_control as is_control,
        assigned.first_row.sent_at as begins_at,
        {{ add_minutes('assigned.first_row.sent_at', '60 * windows.lift_hours') }} as ends_at

    from assigned
    semi join controlled on assigned.campaign_id = controlled.campaign_id
    inner join {{ ref('reaction_windows') }} as windows on assigned.medium = windows.medium

),

bought as (

    select
        compared.campaign_id,
        compared.customer_id,
        count(*) filter (where orders.ordered_at > compared.begins_at) as orders,
        sum(orders.net_amount) filter (where orders.ordered_at > compared.begins_at) as net,
        sum(orders.margin_amount) filter (where orders.ordered_at > compared.begins_at) as margin,
        sum(orders.net_amount) filter (where orders.ordered_at <= compared.begins_at) as past

    from compared
    inner join orders
        on
            compared.customer_id = orders.customer_id
            and orders.ordered_at > {{ add_minutes('compared.begins_at', '-525600') }}
            and compared.ends_at >= orders.ordered_at
    group by compared.campaign_id, compared.customer_id

),

visits as (

    select
        compared.campaign_id,
        compared.customer_id

    from compared
    inner join {{ ref('fct_web_sessions') }} as sessions
        on
            compared.customer_id = sessions.customer_id
            and compared.begins_at < sessions.started_at
            and compared.ends_at >= sessions.started_at
    group by compared.campaign_id, compared.customer_id

),

customers as (

    select
        compared.campaign_id,
        compared.arm,
        compared.is_control,
        compared.ends_at <= run.as_of_at as is_over,
        coalesce(bought.orders, 0) as orders,
        bought.margin is null and coalesce(bought.orders, 0) > 0 as is_cost_unknown,
        cast(case when visits.customer_id is not null then 1 else 0 end as decimal(18, 2)) as visited,
        cast(
            case when run.has_orders then least(coalesce(bought.orders, 0), 1) else compared.reported_conversion end
            as decimal(18, 2)
        ) as converted,
        cast(coalesce(bought.net, 0) as decimal(18, 2)) as net,
        cast(coalesce(bought.margin, 0) as decimal(18, 2)) as margin,
        cast(coalesce(bought.past, 0) as decimal(18, 2)) as past

    from compared
    cross join run
    left join bought
        on
            compared.campaign_id = bought.campaign_id
            and compared.customer_id = bought.customer_id
    left join visits
        on
            compared.campaign_id = visits.campaign_id
            and compared.customer_id = visits.customer_id

),

final as (

    select
        campaign_id,
        arm,
        is_control,
        count(*) as customers,
        min(case when is_over then 1 else 0 end) = 1 as is_complete,
        count(*) filter (where orders > 0) as buyers,
        count(*) filter (where is_cost_unknown) as buyers_of_unknown_cost,
        {% for outcome in outcomes -%}
            sum({{ outcome }}) as {{ outcome }}_total,
            sum({{ outcome }} * {{ outcome }}) as {{ outcome }}_squares,
            sum({{ outcome }} * past) as {{ outcome }}_products,
        {% endfor -%}
        sum(past) as past_total,
        sum(past * past) as past_squares

    from customers
    group by campaign_id, arm, is_control

)

select * from final
