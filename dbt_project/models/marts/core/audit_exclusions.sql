with

orders as (

    select order_id from {{ ref('stg_shop__orders') }}

),

lines as (

    select
        lines.order_line_id,
        orders.order_id is not null as has_order,
        lines.quantity,
        coalesce(lines.line_amount, cast(lines.quantity as decimal(38, 3)) * lines.unit_price) as source_amount

    from {{ ref('stg_shop__order_lines') }} as lines
    left join orders on lines.order_id = orders.order_id

),

returned as (

    select
        returned.returned_quantity,
        returned.refund_amount,
        lines.order_line_id is not null as has_line,
        coalesce(lines.has_order, false) as has_order

    from {{ ref('stg_shop__returns') }} as returned
    left join lines on returned.order_line_id = lines.order_line_id

),

reactions as (

    select messages.message_id is not null as has_message

    from {{ ref('stg_marketing__reactions') }} as reactions
    left join {{ ref('stg_marketing__messages') }} as messages
        on reactions.message_id = messages.message_id

),

consents as (

    select identity.customer_id is not null as has_customer

    from {{ ref('stg_crm__consents') }} as consents
    left join {{ ref('int_customer_identity') }} as identity
        on consents.customer_id = identity.source_customer_id

),

exclusions as (

    select
        'order_lines' as table_name,
        'order_not_delivered' as reason,
        count(*) as rows,
        sum(quantity) as quantity,
        sum(source_amount) as amount

    from lines
    where not has_order

    union all

    select
        'returns' as table_name,
        'order_line_not_delivered' as reason,
        count(*) as rows,
        sum(returned_quantity) as quantity,
        sum(refund_amount) as amount

    from returned
    where not has_line

    union all

    select
        'returns' as table_name,
        'order_not_delivered' as reason,
        count(*) as rows,
        sum(returned_quantity) as quantity,
        sum(refund_amount) as amount

    from returned
    where has_line and not has_order

    union all

    select
        'campaign_reactions' as table_name,
        'message_not_delivered' as reason,
        count(*) as rows,
        null as quantity,
        null as amount

    from reactions
    where not has_message

    union all

    select
        'consents' as table_name,
        'customer_not_delivered' as reason,
        count(*) as rows,
        null as quantity,
        null as amount

    from consents
    where not has_customer

),

final as (

    select
        table_name,
        reason,
        rows,
        cast(quantity as decimal(18, 3)) as quantity,
        cast(round(amount, 2) as decimal(18, 2)) as amount

    from exclusions

)

select * from final
