{{ config(
    pre_hook="{{ remember_touched('returns', ['return_id'], carry=['order_line_id']) }}",
    meta={'touched_by': [{'table': 'control.touched_returns', 'columns': ['return_id']}]}
) }}

with

current_rows as (

    {{ current_rows('returns', key=['return_id']) | indent(4) }}

),

run as (

    select * from {{ source('control', 'run_parameters') }}

),

final as (

    select
        return_id,
        order_line_id,

        quantity as returned_quantity,
        amount as refund_amount,

        returned_at,
        {{ business_date('returned_at', 'run.business_timezone') }} as return_date,
        _delivery_date as delivery_date

    from current_rows
    cross join run

)

select * from final
