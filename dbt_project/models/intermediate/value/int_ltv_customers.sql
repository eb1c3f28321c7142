{#
    Customers with a kept order, numbered: the models of customer value work on arrays. The number is of the customer alone, so that a new
    customer changes nobody else's. Market and channel of acquisition are those of the customer's current version.
#}
{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}]}
) }}

with

orders as (

    select * from {{ ref('fct_orders') }}
    {{ where_touched({'customer_id': 'int_touched_buyers'}) }}

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
        {{ number_of_customer('buyers.customer_id') }} as customer_number,
        coalesce(customer_versions.country, '') as market,
        coalesce(customer_versions.acquisition_channel_id, '') as acquisition_channel_id

    from buyers
    left join customer_versions
        on
            buyers.customer_id = customer_versions.customer_id
            and customer_versions.is_current

)

select * from final
