{#- The indicators by calendar month or half year (`months` 1 or 6), over all channels (channel_id null) and by channel:
    one text for both grains, so that they cannot drift apart. -#}
{% macro kpi_by_period(months) -%}

with

activity as (

    select * from {{ ref('int_customer_activity_monthly') }}

),

web_sessions as (

    select * from {{ ref('fct_web_sessions') }}
    where not is_bot

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

-- rows are many, combinations few: dates are worked out of these
combinations as (

    select
        month_start,
        next_month_start,
        channel_id,
        customer_id is not null as is_identified,
        is_new,
        is_returning,
        is_reactivated,
        count(*) as customers,
        sum(orders) as orders,
        sum(net_amount) as net_amount,
        sum(margin_amount) as margin_amount

    from activity
    group by month_start, next_month_start, channel_id, customer_id is not null, is_new, is_returning, is_reactivated

),

-- a customer counts once in a period: in the last of its months in which it was active
placed as (

    select
        *,
        {{ period_start('month_start', months) }} as period_start,
        {{ period_start('next_month_start', months) }} as next_period_start,
        is_identified
        and coalesce({{ period_start('next_month_start', months) }} <> {{ period_start('month_start', months) }}, true) as is_last

    from combinations

),

-- who returned in a period has done so by its last month; nobody is new twice, or reactivated twice within twelve months
sales as (

    select
        period_start,
        channel_id,
        sum(orders) as orders,
        sum(orders) filter (where is_identified) as identified_orders,
        sum(net_amount) as net_amount,
        sum(net_amount) filter (where is_identified) as identified_net_amount,
        sum(margin_amount) as margin_amount,
        sum(customers) filter (where is_new) as new_customers,
        sum(customers) filter (where is_reactivated) as reactivated_customers,
        sum(customers) filter (where is_last) as active_customers,
        sum(customers) filter (where is_last and is_returning) as returning_customers,
        sum(customers) filter (where next_period_start = {{ add_months('period_start', months) }}) as next_period_active_customers

    from placed
    group by period_start, channel_id

),

visits as (

    select
        {{ period_start('session_date', months) }} as period_start,
        count(*) as sessions,
        sum(case when purchases > 0 then 1 else 0 end) as converting_sessions

    from web_sessions
    group by {{ period_start('session_date', months) }}

),

{{ kpi_periods(months) }},

cuts as (

    select channel_id from combinations group by channel_id

    union

    select cast(null as {{ dbt.type_string() }}) as channel_id

),

filled as (

    select
        periods.period_start,
        periods.period_end,
        cuts.channel_id,
        periods.period_end <= periods.as_of_date as is_complete,
        {{ add_days(add_months('periods.period_start', 2 * months), -1) }} <= periods.as_of_date as is_next_complete,
        cast(coalesce(sales.active_customers, 0) as bigint) as active_customers,
        cast(coalesce(sales.new_customers, 0) as bigint) as new_customers,
        cast(coalesce(sales.returning_customers, 0) as bigint) as returning_customers,
        cast(coalesce(sales.reactivated_customers, 0) as bigint) as reactivated_customers,
        cast(coalesce(sales.next_period_active_customers, 0) as bigint) as next_period_active_customers,
        cast(coalesce(sales.orders, 0) as bigint) as orders,
        cast(coalesce(sales.identified_orders, 0) as bigint) as identified_orders,
        cast(coalesce(sales.net_amount, 0) as decimal(18, 2)) as net_amount,
        cast(coalesce(sales.identified_net_amount, 0) as decimal(18, 2)) as identified_net_amount,
        cast(case when sales.orders is null then 0 else sales.margin_amount end as decimal(18, 2)) as margin_amount,
        case when cuts.channel_id is null then cast(coalesce(visits.sessions, 0) as bigint) end as sessions,
        case
            when cuts.channel_id is null then cast(coalesce(visits.converting_sessions, 0) as bigint)
        end as converting_sessions

    from periods
    cross join cuts
    left join sales
        on
            periods.period_start = sales.period_start
            and coalesce(cuts.channel_id, '') = coalesce(sales.channel_id, '')
    left join visits on periods.period_start = visits.period_start

),

counted as (

    select
        *,
        cast(
            sum(new_customers) over (
                partition by channel_id order by period_start rows between unbounded preceding and current row
            ) as bigint
        ) as known_customers

    from filled

),

final as (

    select
        period_start,
        channel_id,
        period_end,
        is_complete,
        known_customers,
        active_customers,
        cast(active_customers as double) / nullif(known_customers, 0) as activity_rate,
        returning_customers,
        cast(returning_customers as double) / nullif(active_customers, 0) as repurchase_rate,
        case when is_next_complete then next_period_active_customers end as next_period_active_customers,
        case
            when is_next_complete
                then cast(next_period_active_customers as double) / nullif(active_customers, 0)
        end as next_period_repurchase_rate,
        orders,
        identified_orders,
        net_amount,
        margin_amount,
        cast(round(net_amount / nullif(orders, 0), 2) as decimal(18, 2)) as average_basket,
        cast(orders as double) / nullif(active_customers, 0) as purchase_frequency,
        new_customers,
        reactivated_customers,
        identified_net_amount,
        cast(identified_net_amount / nullif(net_amount, 0) as double) as identified_sales_share,
        sessions,
        converting_sessions,
        cast(converting_sessions as double) / nullif(sessions, 0) as conversion_rate

    from counted

)

select * from final
{%- endmacro %}
