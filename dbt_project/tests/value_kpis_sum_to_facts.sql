{{ config(meta={'dagster': {'ref': {'name': 'kpi_monthly'}}}) }}
-- Orders, amounts, customers and sessions of the indicators are those of the facts, by month and channel; those of the half years
-- are the sums of their months.
with

facts as (

    select
        {{ month_start('order_date') }} as period_start,
        channel_id,
        count(*) as orders,
        coalesce(sum(net_amount), 0) as net_amount,
        coalesce(sum(margin_amount), 0) as margin_amount,
        count(distinct customer_id) as active_customers

    from {{ ref('fct_orders') }}
    where is_kept
    group by {{ month_start('order_date') }}, channel_id

),

total_facts as (

    select
        {{ month_start('order_date') }} as period_start,
        count(distinct customer_id) as active_customers,
        sum(case when is_first_order and customer_id is not null then 1 else 0 end) as new_customers

    from {{ ref('fct_orders') }}
    where is_kept
    group by {{ month_start('order_date') }}

),

session_facts as (

    select
        {{ month_start('session_date') }} as period_start,
        count(*) as sessions

    from {{ ref('fct_web_sessions') }}
    where not is_bot
    group by {{ month_start('session_date') }}

),

months as (

    select * from {{ ref('kpi_monthly') }}

),

total_months as (

    select * from months
    where channel_id is null

),

channel_months as (

    select * from months
    where channel_id is not null

),

compared as (

    select
        'a channel and its orders' as comparison,
        coalesce(facts.period_start, months.period_start) as period_start,
        coalesce(facts.channel_id, months.channel_id) as channel_id

    from facts
    full outer join channel_months as months
        on
            facts.period_start = months.period_start
            and facts.channel_id = months.channel_id
    where
        coalesce(facts.orders, 0) <> coalesce(months.orders, -1)
        or coalesce(facts.net_amount, 0) <> months.net_amount
        or coalesce(facts.margin_amount, 0) <> coalesce(months.margin_amount, 0)
        or coalesce(facts.active_customers, 0) <> months.active_customers

    union all

    select
        'all channels and the customers' as comparison,
        coalesce(total_facts.period_start, months.period_start) as period_start,
        null as channel_id

    from total_facts
    full outer join total_months as months
        on total_facts.period_start = months.period_start
    where
        coalesce(total_facts.active_customers, 0) <> coalesce(months.active_customers, -1)
        or coalesce(total_facts.new_customers, 0) <> months.new_customers

    union all

    select
        'all channels and the sessions' as comparison,
        coalesce(session_facts.period_start, months.period_start) as period_start,
        null as channel_id

    from session_facts
    full outer join total_months as months
        on session_facts.period_start = months.period_start
    where coalesce(session_facts.sessions, 0) <> coalesce(months.sessions, -1)

    union all

    select
        'all channels and each channel' as comparison,
        period_start,
        null as channel_id

    from months
    group by period_start
    having
        sum(case when channel_id is null then -orders else orders end) <> 0
        or sum(case when channel_id is null then -net_amount else net_amount end) <> 0
        or sum(case when channel_id is null then -coalesce(margin_amount, 0) else coalesce(margin_amount, 0) end) <> 0

),

half_years as (

    select
        'half year' as source_name,
        period_start,
        channel_id,
        orders,
        net_amount,
        coalesce(margin_amount, 0) as margin_amount,
        new_customers,
        coalesce(sessions, 0) as sessions

    from {{ ref('kpi_half_yearly') }}

    union all

    select
        'months' as source_name,
        {{ half_year_start('period_start') }} as period_start,
        channel_id,
        -orders as orders,
        -net_amount as net_amount,
        -coalesce(margin_amount, 0) as margin_amount,
        -new_customers as new_customers,
        -coalesce(sessions, 0) as sessions

    from months

),

final as (

    select * from compared

    union all

    select
        'a half year and its months' as comparison,
        period_start,
        channel_id

    from half_years
    group by period_start, channel_id
    having
        sum(orders) <> 0
        or sum(net_amount) <> 0
        or sum(margin_amount) <> 0
        or sum(new_customers) <> 0
        or sum(sessions) <> 0

)

select * from final
