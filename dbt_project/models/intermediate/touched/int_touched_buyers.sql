with

buyers as (

    select orders.customer_id

    from {{ ref('int_orders_enriched') }} as orders
    semi join {{ ref('int_touched_orders') }} as touched on orders.order_id = touched.order_id
    where orders.customer_id is not null

),

final as (

    select customer_id from buyers
    union
    select customer_id from {{ source('control', 'last_buyers') }}
    where customer_id is not null
    union
    select customer_id from {{ ref('int_touched_customers') }}

)

select * from final
