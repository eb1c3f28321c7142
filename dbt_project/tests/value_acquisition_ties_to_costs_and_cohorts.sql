{{ config(meta={'dagster': {'ref': {'name': 'acquisition_monthly'}}}) }}
-- To the cent, in each month: the cost of all channels is what the campaigns cost, the channels do not exceed it, and the
-- new customers, of all and of the channels together, are those of the indicators.
with

costs as (

    select
        {{ month_start('costs.cost_date') }} as period_start,
        sum(costs.cost_amount) as cost_amount

    from {{ ref('fct_campaign_costs') }} as costs
    inner join {{ ref('dim_campaign') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    where {{ has_objective('campaigns.objective', 'acquisition_objectives') }}
    group by {{ month_start('costs.cost_date') }}

),

indicators as (

    select
        period_start,
        new_customers

    from {{ ref('kpi_monthly') }}
    where channel_id is null

),

acquired as (

    select
        period_start,
        sum(case when channel_id is null then acquisition_cost end) as cost_amount,
        sum(case when channel_id is null then new_customers end) as new_customers,
        sum(case when channel_id is not null then acquisition_cost else 0 end) as channel_cost_amount,
        sum(case when channel_id is not null then new_customers else 0 end) as channel_new_customers

    from {{ ref('acquisition_monthly') }}
    group by period_start

),

months as (

    select period_start from costs
    union
    select period_start from indicators
    union
    select period_start from acquired

),

final as (

    select
        months.period_start,
        costs.cost_amount,
        acquired.cost_amount as acquisition_cost,
        acquired.channel_cost_amount,
        indicators.new_customers,
        acquired.new_customers as acquired_customers,
        acquired.channel_new_customers

    from months
    left join costs on months.period_start = costs.period_start
    left join indicators on months.period_start = indicators.period_start
    left join acquired on months.period_start = acquired.period_start
    where
        coalesce(costs.cost_amount, 0) <> coalesce(acquired.cost_amount, 0)
        or coalesce(acquired.channel_cost_amount, 0) > coalesce(costs.cost_amount, 0)
        or coalesce(indicators.new_customers, 0) <> coalesce(acquired.new_customers, 0)
        or coalesce(acquired.channel_new_customers, 0) <> coalesce(acquired.new_customers, 0)

)

select * from final
