with

current_rows as (

    {{ current_rows('orders', key=['order_id']) | indent(4) }}

),

cancellations as (

    select
        order_id,
        min(_delivery_date) as first_cancelled_delivery_date

    from {{ source('raw', 'orders') }}
    where
        status = 'cancelled'
        and _delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
    group by order_id

),

final as (

    select
        current_rows.order_id,
        current_rows.customer_id,
        current_rows.channel_id,
        current_rows.campaign_id,

        current_rows.currency,
        current_rows.status,
        current_rows.coupon_code,
        current_rows.guest_email,

        coalesce(current_rows.is_test, false) as is_test,

        current_rows.ordered_at,
        current_rows.cancelled_at,
        cancellations.first_cancelled_delivery_date

    from current_rows
    left join cancellations on current_rows.order_id = cancellations.order_id

)

select * from final
