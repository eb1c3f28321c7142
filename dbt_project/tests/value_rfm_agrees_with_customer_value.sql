{{ config(meta={'dagster': {'ref': {'name': 'customer_rfm'}}}) }}
-- At a month's end the latest snapshot and customer_value describe the same customers and the same last orders.
with

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

snapshot as (

    select
        customer_rfm.customer_id,
        customer_rfm.recency_days

    from {{ ref('customer_rfm') }} as customer_rfm
    inner join run_parameters on customer_rfm.snapshot_date = run_parameters.as_of_date

),

customers as (

    select
        customer_value.customer_id,
        {{ days_between('customer_value.last_order_date', 'customer_value.as_of_date') }} as recency_days

    from {{ ref('customer_value') }} as customer_value
    where customer_value.as_of_date = last_day(customer_value.as_of_date)

),

final as (

    select
        coalesce(snapshot.customer_id, customers.customer_id) as customer_id,
        snapshot.recency_days as recency_in_snapshot,
        customers.recency_days as recency_in_value

    from snapshot
    full outer join customers on snapshot.customer_id = customers.customer_id
    where
        snapshot.customer_id is null
        or customers.customer_id is null
        or snapshot.recency_days <> customers.recency_days

)

select * from final
