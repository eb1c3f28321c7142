with

current_rows as (

    {{ current_rows('returns', key=['return_id']) | indent(4) }}

),

final as (

    select
        return_id,
        order_line_id,

        quantity as returned_quantity,
        amount as refund_amount,

        returned_at

    from current_rows

)

select * from final
