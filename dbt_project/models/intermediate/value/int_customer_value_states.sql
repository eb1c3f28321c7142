{#
    What a customer brought in the last 12 months and in the 12 before changes only in the months in which orders come in, and 12 and 24
    months after: one row per such month and cut (all channels together, channel_id null, and each channel), valid up to the month before the next one.
    Kept orders by order date, as known at the release: sums over customers are those of kpi_monthly.
#}
{%- set remembered -%}
    'value_states', this, {
        'customer_id': dbt.type_string(), 'channel_id': dbt.type_string(), 'from_month': 'integer', 'until_month': 'integer',
        'is_active_12m': 'boolean', 'net_12m': 'decimal(18, 2)', 'previous_net_12m': 'decimal(18, 2)'
    }, 'int_touched_buyers', ['customer_id']
{%- endset -%}
{{ config(
    materialized='incremental',
    pre_hook="{{ remember_last(" ~ remembered ~ ") }}",
    post_hook="{{ remember_touched_months(" ~ remembered ~ ", later=12) }}",
    meta={'of_closed_months': true, 'touched_by': [{'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}]}
) }}

with

activity as (

    select activity.*

    from {{ ref('int_customer_activity_monthly') }} as activity
    {{ semi_join_touched('int_touched_buyers', 'activity', ['customer_id']) }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

{{ last_month() }},

ages as (

    select {{ unnest_integers([0, 12, 24]) }} as age

),

-- changes of one month are not summed up first: few months have two, and the last of them has the sums of all
monthly_changes as (

    select
        activity.customer_id,
        activity.channel_id,
        {{ month_index('activity.month_start') }} + ages.age as month_index,
        ages.age,
        case ages.age when 0 then activity.net_amount when 12 then -activity.net_amount else 0 end as net_amount,
        case ages.age when 12 then activity.net_amount when 24 then -activity.net_amount else 0 end as previous_net_amount,
        activity.is_reactivated

    from activity
    cross join ages
    where activity.customer_id is not null

),

states as (

    select
        monthly_changes.customer_id,
        monthly_changes.channel_id,
        monthly_changes.month_index as from_month,
        coalesce(lead(monthly_changes.month_index) over to_date - 1, last_month.month_index) as until_month,
        sum(monthly_changes.net_amount) over to_date as net_12m,
        sum(monthly_changes.previous_net_amount) over to_date as previous_net_12m,
        max(case when monthly_changes.age = 0 then monthly_changes.month_index end) over to_date as last_order_month,
        max(case when monthly_changes.age = 0 and monthly_changes.is_reactivated then monthly_changes.month_index end) over to_date
            as reactivated_month

    from monthly_changes
    inner join last_month on monthly_changes.month_index <= last_month.month_index
    window
        to_date as (
            partition by monthly_changes.customer_id, monthly_changes.channel_id
            order by monthly_changes.month_index, monthly_changes.age
            rows between unbounded preceding and current row
        )

),

final as (

    select
        customer_id,
        channel_id,
        from_month,
        until_month,
        from_month - last_order_month < 12 as is_active_12m,
        cast(net_12m as decimal(18, 2)) as net_12m,
        cast(previous_net_12m as decimal(18, 2)) as previous_net_12m,
        last_order_month,
        reactivated_month

    from states
    where from_month <= until_month

)

select * from final
