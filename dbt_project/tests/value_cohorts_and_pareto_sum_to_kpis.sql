{{ config(meta={'dagster': {'ref': {'name': 'cohort_monthly'}}}) }}
-- To the cent, in each month: the cohorts of all customers, and those of each channel of acquisition together, are the identified orders
-- of the indicators and of the facts; the values behind the Pareto curve are the indicators' of the twelve months, in each channel too.
with

facts as (

    select
        {{ month_start('order_date') }} as period_start,
        count(*) as orders,
        count(distinct customer_id) as active_customers,
        sum(net_amount) as net_amount,
        coalesce(sum(margin_amount), 0) as margin_amount

    from {{ ref('fct_orders') }}
    where
        is_kept
        and customer_id is not null
    group by {{ month_start('order_date') }}

),

indicators as (

    select * from {{ ref('kpi_monthly') }}

),

cohorts as (

    select
        cast({{ add_months('cohort_month', 'months_since') }} as date) as period_start,
        channel_id is null as is_total,
        sum(orders) as orders,
        sum(active_customers) as active_customers,
        sum(net_amount) as net_amount,
        sum(coalesce(margin_amount, 0)) as margin_amount,
        sum(case when months_since = 0 then customers else 0 end) as new_customers

    from {{ ref('cohort_monthly') }}
    group by {{ add_months('cohort_month', 'months_since') }}, channel_id is null

),

month_ends as (

    select
        indicators.period_end as snapshot_date,
        indicators.channel_id,
        sum(months.identified_net_amount) as net_amount,
        sum(months.active_customers) as active_customers

    from indicators
    inner join indicators as months
        on
            coalesce(indicators.channel_id, '') = coalesce(months.channel_id, '')
            and indicators.period_start >= months.period_start
            and indicators.period_start < {{ add_months('months.period_start', 12) }}
    where indicators.is_complete
    group by indicators.period_end, indicators.channel_id

),

final as (

    select
        'cohorts' as comparison,
        indicators.period_start,
        cast(null as {{ dbt.type_string() }}) as channel_id

    from indicators
    left join facts on indicators.period_start = facts.period_start
    left join cohorts as totals
        on
            indicators.period_start = totals.period_start
            and totals.is_total
    left join cohorts as by_channel
        on
            indicators.period_start = by_channel.period_start
            and not by_channel.is_total
    where
        indicators.channel_id is null
        and (
            indicators.new_customers <> coalesce(totals.new_customers, 0)
            or indicators.new_customers <> coalesce(by_channel.new_customers, 0)
            {%- for measure, of_indicators in {
                'orders': 'identified_orders', 'net_amount': 'identified_net_amount', 'active_customers': 'active_customers',
            }.items() %}
                or indicators.{{ of_indicators }} <> coalesce(facts.{{ measure }}, 0)
            {%- endfor %}
            {%- for measure in ['orders', 'net_amount', 'active_customers', 'margin_amount'] %}
                or coalesce(facts.{{ measure }}, 0) <> coalesce(totals.{{ measure }}, 0)
                or coalesce(facts.{{ measure }}, 0) <> coalesce(by_channel.{{ measure }}, 0)
            {%- endfor %}
        )

    union all

    select
        'pareto' as comparison,
        coalesce(month_ends.snapshot_date, pareto.snapshot_date) as period_start,
        coalesce(month_ends.channel_id, pareto.channel_id) as channel_id

    from month_ends
    full outer join {{ ref('pareto_monthly') }} as pareto
        on
            month_ends.snapshot_date = pareto.snapshot_date
            and coalesce(month_ends.channel_id, '') = coalesce(pareto.channel_id, '')
    where
        coalesce(month_ends.net_amount, 0) <> coalesce(pareto.net_amount, 0)
        or (pareto.snapshot_date is null and month_ends.active_customers > 0)

)

select * from final
