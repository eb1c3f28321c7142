{#
    No source says which channel a campaign's cost is for, so it goes where the campaign's new customers are: over the channels of the first
    orders credited to it, cut by running sums so that nothing is lost in rounding. What brought no first order is in the row of all channels.
#}
with

first_orders as (

    select
        order_id,
        customer_id,
        channel_id,
        {{ month_start('order_date') }} as period_start

    from {{ ref('fct_orders') }}
    where is_first_order

),

costs as (

    select
        costs.campaign_id,
        {{ month_start('costs.cost_date') }} as period_start,
        sum(costs.cost_amount) as cost_amount

    from {{ ref('fct_campaign_costs') }} as costs
    inner join {{ ref('dim_campaign') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    where {{ has_objective('campaigns.objective', 'acquisition_objectives') }}
    group by costs.campaign_id, {{ month_start('costs.cost_date') }}

),

credited as (

    select
        attribution.campaign_id,
        first_orders.channel_id,
        sum(attribution.share) as orders

    from {{ ref('order_attribution') }} as attribution
    inner join first_orders on attribution.order_id = first_orders.order_id
    where attribution.model = '{{ var('campaign_attribution_model') }}' and attribution.campaign_id is not null
    group by attribution.campaign_id, first_orders.channel_id

),

credited_so_far as (

    select
        campaign_id,
        channel_id,
        cast(sum(orders) over (partition by campaign_id order by channel_id) as decimal(18, 6)) as orders_so_far,
        cast(sum(orders) over (partition by campaign_id order by channel_id) - orders as decimal(18, 6)) as orders_before,
        cast(sum(orders) over (partition by campaign_id) as decimal(18, 6)) as orders

    from credited

),

channel_costs as (

    select
        costs.period_start,
        credited_so_far.channel_id,
        cast(
            case
                when credited_so_far.campaign_id is null then costs.cost_amount
                else
                    round(costs.cost_amount * credited_so_far.orders_so_far / credited_so_far.orders, 2)
                    - round(costs.cost_amount * credited_so_far.orders_before / credited_so_far.orders, 2)
            end as decimal(18, 2)
        ) as cost_amount

    from costs
    left join credited_so_far on costs.campaign_id = credited_so_far.campaign_id

),

period_costs as (

    select
        period_start,
        channel_id,
        sum(cost_amount) as cost_amount

    from channel_costs
    group by grouping sets ((period_start, channel_id), (period_start))
    having channel_id is not null or grouping(channel_id) = 1

),

-- the mean of a customer who is more than 80 % sure not to order lies above the interval, which is 0 to 0
values_to_come as (

    select
        first_orders.period_start,
        first_orders.channel_id,
        min(ltv.value_unit) as value_unit,
        count(ltv.predicted_value_36m) = count(*) as is_known,
        sum(ltv.predicted_value_36m) as predicted,
        sum(ltv.predicted_value_36m_low) as predicted_low,
        sum(greatest(ltv.predicted_value_36m_high, ltv.predicted_value_36m)) as predicted_high

    from first_orders
    left join {{ ref('customer_ltv') }} as ltv on first_orders.customer_id = ltv.customer_id
    group by grouping sets ((first_orders.period_start, first_orders.channel_id), (first_orders.period_start))

),

new_customers as (

    select
        cohort_month as period_start,
        channel_id,
        max(customers) as customers,
        sum(net_amount) as net_so_far,
        sum(margin_amount) as margin_so_far

    from {{ ref('cohort_monthly') }}
    group by cohort_month, channel_id

),

periods as (

    select
        period_start,
        channel_id

    from new_customers

    union

    select
        period_start,
        channel_id

    from period_costs

),

counted as (

    select
        periods.period_start,
        periods.channel_id,
        coalesce(period_costs.cost_amount, 0) as acquisition_cost,
        coalesce(new_customers.customers, 0) as new_customers,
        case
            when values_to_come.is_known
                then case when values_to_come.value_unit = 'net' then new_customers.net_so_far else new_customers.margin_so_far end
        end as value_so_far,
        values_to_come.predicted,
        values_to_come.predicted_low,
        values_to_come.predicted_high

    from periods
    left join period_costs
        on
            periods.period_start = period_costs.period_start
            and coalesce(periods.channel_id, '') = coalesce(period_costs.channel_id, '')
    left join new_customers
        on
            periods.period_start = new_customers.period_start
            and coalesce(periods.channel_id, '') = coalesce(new_customers.channel_id, '')
    left join values_to_come
        on
            periods.period_start = values_to_come.period_start
            and coalesce(periods.channel_id, '') = coalesce(values_to_come.channel_id, '')

),

paid_back as (

    select
        counted.period_start,
        counted.channel_id,
        min(cohorts.months_since) as payback_month

    from counted
    inner join {{ ref('cohort_monthly') }} as cohorts
        on
            counted.period_start = cohorts.cohort_month
            and coalesce(counted.channel_id, '') = coalesce(cohorts.channel_id, '')
    where
        cohorts.is_complete
        and counted.acquisition_cost > 0
        and cohorts.cumulative_margin_amount >= counted.acquisition_cost
    group by counted.period_start, counted.channel_id

),

final as (

    select
        counted.period_start,
        counted.channel_id,
        {{ add_days(add_months('counted.period_start', 1), -1) }} <= run.as_of_date as is_complete,
        cast(counted.acquisition_cost as decimal(18, 2)) as acquisition_cost,
        cast(counted.new_customers as bigint) as new_customers,
        cast(round(counted.acquisition_cost / nullif(counted.new_customers, 0), 2) as decimal(18, 2)) as cost_per_new_customer,
        cast(paid_back.payback_month as integer) as payback_month,
        cast(round((counted.value_so_far + counted.predicted) / counted.new_customers, 2) as decimal(18, 2)) as ltv,
        cast(round((counted.value_so_far + counted.predicted_low) / counted.new_customers, 2) as decimal(18, 2)) as ltv_low,
        cast(round((counted.value_so_far + counted.predicted_high) / counted.new_customers, 2) as decimal(18, 2)) as ltv_high,
        cast(counted.value_so_far + counted.predicted as double) / nullif(counted.acquisition_cost, 0) as ltv_to_cac,
        cast(counted.value_so_far + counted.predicted_low as double) / nullif(counted.acquisition_cost, 0) as ltv_to_cac_low,
        cast(counted.value_so_far + counted.predicted_high as double) / nullif(counted.acquisition_cost, 0) as ltv_to_cac_high

    from counted
    cross join {{ source('control', 'run_parameters') }} as run
    left join paid_back
        on
            counted.period_start = paid_back.period_start
            and coalesce(counted.channel_id, '') = coalesce(paid_back.channel_id, '')

)

select * from final
