with

orders as (

    select * from {{ ref('fct_orders') }}

),

activity as (

    select * from {{ ref('int_customer_activity_monthly') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

members as (

    select
        customer_id,
        channel_id,
        {{ month_start('order_date') }} as cohort_month

    from orders
    where is_first_order

),

cohorts as (

    select
        cohort_month,
        channel_id,
        count(*) as customers

    from members
    group by grouping sets ((cohort_month, channel_id), (cohort_month))

),

ages as (

    select
        cohorts.cohort_month,
        cohorts.channel_id,
        cohorts.customers,
        run_parameters.as_of_date,
        {{ integer_series('0', month_index('run_parameters.as_of_date') ~ ' - ' ~ month_index('cohorts.cohort_month')) }} as months_since

    from cohorts
    cross join run_parameters

),

member_months as (

    select
        members.cohort_month,
        members.channel_id,
        {{ month_index('activity.month_start') }} - {{ month_index('members.cohort_month') }} as months_since,
        activity.orders,
        activity.net_amount,
        activity.margin_amount

    from activity
    inner join members on activity.customer_id = members.customer_id
    where activity.channel_id is null

),

sales as (

    select
        cohort_month,
        channel_id,
        months_since,
        count(*) as active_customers,
        sum(orders) as orders,
        sum(net_amount) as net_amount,
        sum(margin_amount) as margin_amount

    from member_months
    group by grouping sets ((cohort_month, channel_id, months_since), (cohort_month, months_since))

),

filled as (

    select
        ages.cohort_month,
        ages.months_since,
        ages.channel_id,
        ages.customers,
        {{ add_days(add_months('ages.cohort_month', 'ages.months_since + 1'), -1) }} <= ages.as_of_date as is_complete,
        coalesce(sales.active_customers, 0) as active_customers,
        coalesce(sales.orders, 0) as orders,
        coalesce(sales.net_amount, 0) as net_amount,
        case when sales.orders is null then 0 else sales.margin_amount end as margin_amount,
        sum(sales.margin_amount) over (
            partition by ages.cohort_month, ages.channel_id
            order by ages.months_since
            rows between unbounded preceding and current row
        ) as cumulative_margin_amount

    from ages
    left join sales
        on
            ages.cohort_month = sales.cohort_month
            and ages.months_since = sales.months_since
            and coalesce(ages.channel_id, '') = coalesce(sales.channel_id, '')

),

final as (

    select
        cohort_month,
        cast(months_since as integer) as months_since,
        channel_id,
        is_complete,
        cast(customers as bigint) as customers,
        cast(active_customers as bigint) as active_customers,
        cast(orders as bigint) as orders,
        cast(net_amount as decimal(18, 2)) as net_amount,
        cast(margin_amount as decimal(18, 2)) as margin_amount,
        cast(cumulative_margin_amount as decimal(18, 2)) as cumulative_margin_amount,
        cast(round(cumulative_margin_amount / customers, 2) as decimal(18, 2)) as cumulative_margin_per_customer

    from filled

)

select * from final
