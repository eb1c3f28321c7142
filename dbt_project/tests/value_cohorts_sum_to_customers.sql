{{ config(meta={'dagster': {'ref': {'name': 'cohort_monthly'}}}) }}
-- The cohorts hold each customer once, and each kept order of a customer once, in all channels together and in the channels.
with

expected as (

    select
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(lifetime_net), 0) as net_amount,
        coalesce(sum(lifetime_margin), 0) as margin_amount,
        count(*) as customers

    from {{ ref('customer_value') }}

),

cuts as (

    select
        channel_id is null as is_total,
        sum(orders) as orders,
        sum(net_amount) as net_amount,
        coalesce(sum(margin_amount), 0) as margin_amount,
        sum(case when months_since = 0 then customers else 0 end) as customers

    from {{ ref('cohort_monthly') }}
    group by channel_id is null

),

final as (

    select
        cuts.*,
        expected.orders as expected_orders,
        expected.net_amount as expected_net_amount,
        expected.margin_amount as expected_margin_amount,
        expected.customers as expected_customers

    from expected
    cross join cuts
    where
        cuts.orders <> expected.orders
        or cuts.net_amount <> expected.net_amount
        or cuts.margin_amount <> expected.margin_amount
        or cuts.customers <> expected.customers

)

select * from final
