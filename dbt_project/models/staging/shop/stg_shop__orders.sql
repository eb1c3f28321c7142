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

run as (

    select * from {{ source('control', 'run_parameters') }}

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
        (current_rows.status = 'cancelled' or current_rows.cancelled_at is not null) as is_cancelled,

        current_rows.ordered_at,
        {{ business_date('current_rows.ordered_at', 'run.business_timezone') }} as order_date,
        case
            when current_rows.status = 'cancelled' or current_rows.cancelled_at is not null
                then coalesce(
                    {{ business_date('current_rows.cancelled_at', 'run.business_timezone') }},
                    cancellations.first_cancelled_delivery_date
                )
        end as cancelled_date

    from current_rows
    cross join run
    left join cancellations on current_rows.order_id = cancellations.order_id

)

select * from final
