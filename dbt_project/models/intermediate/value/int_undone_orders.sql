{#
    Since when an order that is not kept has not been: the day it was cancelled, or the day on which its last outstanding unit
    came back, whichever was first. Up to the day before, it was a kept order like any other. Orders that never were, a test or
    one without a line, are not here.
#}
with

orders as (

    select * from {{ ref('fct_orders') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}

),

returns as (

    select * from {{ ref('fct_returns') }}

),

orders_not_kept as (

    select
        order_id,
        cancelled_date

    from orders
    where
        not is_kept
        and not is_test

),

lines_of_orders as (

    select
        lines.order_id,
        lines.order_line_id,
        lines.quantity

    from lines
    inner join orders_not_kept on lines.order_id = orders_not_kept.order_id

),

returns_so_far as (

    select
        lines_of_orders.order_line_id,
        lines_of_orders.quantity,
        returns.return_date,
        sum(returns.returned_quantity) over (
            partition by returns.order_line_id
            order by returns.return_date, returns.return_id
            rows between unbounded preceding and current row
        ) as returned_quantity

    from returns
    inner join lines_of_orders on returns.order_line_id = lines_of_orders.order_line_id

),

returned_lines as (

    select
        order_line_id,
        min(return_date) as fully_returned_date

    from returns_so_far
    where
        returned_quantity >= quantity
        and quantity > 0
    group by order_line_id

),

returned_orders as (

    select
        lines_of_orders.order_id,
        case
            when count(returned_lines.order_line_id) = count(*) filter (where lines_of_orders.quantity > 0)
                then max(returned_lines.fully_returned_date)
        end as fully_returned_date

    from lines_of_orders
    left join returned_lines on lines_of_orders.order_line_id = returned_lines.order_line_id
    group by lines_of_orders.order_id

),

final as (

    select
        orders_not_kept.order_id,
        orders_not_kept.cancelled_date,
        returned_orders.fully_returned_date,
        least(orders_not_kept.cancelled_date, returned_orders.fully_returned_date) as undone_date

    from orders_not_kept
    inner join returned_orders on orders_not_kept.order_id = returned_orders.order_id

)

select * from final
