{#
    Customers with a kept order, numbered: the models of customer value work on arrays. Market and channel of acquisition are
    those of the customer's current version.
#}
with

orders as (

    select * from {{ ref('fct_orders') }}

),

customer_versions as (

    select * from {{ ref('dim_customer') }}

),

buyers as (

    select customer_id

    from orders
    where
        is_kept
        and customer_id is not null
    group by customer_id

),

final as (

    select
        buyers.customer_id,
        row_number() over (order by buyers.customer_id) - 1 as customer_number,
        coalesce(customer_versions.country, '') as market,
        coalesce(customer_versions.acquisition_channel_id, '') as acquisition_channel_id

    from buyers
    left join customer_versions
        on
            buyers.customer_id = customer_versions.customer_id
            and customer_versions.is_current

)

select * from final
