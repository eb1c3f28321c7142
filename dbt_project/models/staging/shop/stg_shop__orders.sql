{{ config(
    pre_hook="{{ remember_touched('orders', ['order_id'], day_columns=['delivery_date', 'first_cancelled_delivery_date']) }}",
    meta={'touched_by': [{'table': 'control.touched_orders', 'columns': ['order_id']}]}
) }}

with

current_rows as (

    {{ current_rows('orders', key=['order_id']) | indent(4) }}

),

cancelled_rows as (

    select
        order_id,
        _delivery_date as cancelled_delivery_date

    from {{ deliveries('orders', key=['order_id']) | indent(4) }} as delivered
    where status = 'cancelled'

    {% if touched_only() %}
        union all

        select
            order_id,
            first_cancelled_delivery_date as cancelled_delivery_date

        from {{ this }} as last_rows
        {{ semi_join_touched('control.touched_orders', 'last_rows', ['order_id']) }}
        where
            first_cancelled_delivery_date is not null
            and not exists (
                select 1 from {{ source('control', 'source_tables') }}
                where table_name = 'orders' and reads_older_deliveries
            )
    {% endif %}

),

cancellations as (

    select
        order_id,
        min(cancelled_delivery_date) as first_cancelled_delivery_date

    from cancelled_rows
    where cancelled_delivery_date <= (select max(as_of_date) from {{ source('control', 'run_parameters') }})
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
        end as cancelled_date,
        cancellations.first_cancelled_delivery_date,
        current_rows._delivery_date as delivery_date

    from current_rows
    cross join run
    left join cancellations on current_rows.order_id = cancellations.order_id

)

select * from final
