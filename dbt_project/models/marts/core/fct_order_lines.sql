{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_orders', 'columns': ['order_id']}], 'referenced': ['order_line_id']}
) }}

with

lines as (

    select
        *,
        coalesce(
            cast(line_amount as decimal(38, 7)),
            cast(quantity as decimal(38, 3)) * unit_price
        ) as source_gross_amount

    from {{ ref('stg_shop__order_lines') }} as lines
    {{ semi_join_touched('int_touched_orders', 'lines', ['order_id']) }}

),

tax_basis as (

    select coalesce(max(prices_include_tax), false) as prices_include_tax
    from {{ source('control', 'source_tables') }}
    where table_name = 'order_lines'

),

orders as (

    select
        orders.*,
        customers.customer_key

    from {{ ref('int_orders_enriched') }} as orders
    left join {{ ref('dim_customer') }} as customers
        on
            orders.customer_id = customers.customer_id
            and orders.order_date >= customers.valid_from
            and orders.order_date < customers.valid_to
    {{ semi_join_touched('int_touched_orders', 'orders', ['order_id']) }}

),

products as (

    select
        product_key,
        product_id,
        unit_cost,
        valid_from,
        valid_to

    from {{ ref('dim_product') }}

),

returned as (

    select
        order_line_id,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount

    from {{ ref('fct_returns') }} as returned
    {{ semi_join_touched('int_touched_orders', 'returned', ['order_id']) }}
    group by order_line_id

),

converted as (

    select
        lines.order_line_id,
        lines.order_id,
        lines.product_id,
        lines.quantity,
        lines.tax_rate,

        orders.customer_id,
        orders.customer_key,
        orders.channel_id,
        orders.order_date,
        orders.ordered_at,
        orders.currency,
        orders.fx_rate,
        orders.is_test,
        orders.is_kept,

        case
            when tax_basis.prices_include_tax
                then {{ convert_amount_without_tax('lines.source_gross_amount', 'orders.fx_rate', 'lines.tax_rate') }}
            else {{ convert_amount('lines.source_gross_amount', 'orders.fx_rate') }}
        end as gross_amount,
        case
            when tax_basis.prices_include_tax
                then {{ convert_amount_without_tax('coalesce(lines.discount_amount, 0)', 'orders.fx_rate', 'lines.tax_rate') }}
            else {{ convert_amount('coalesce(lines.discount_amount, 0)', 'orders.fx_rate') }}
        end as discount_amount

    from lines
    inner join orders on lines.order_id = orders.order_id
    cross join tax_basis

),

valued as (

    select
        converted.*,
        products.product_key,
        cast(coalesce(returned.returned_quantity, 0) as decimal(18, 3)) as returned_quantity,
        cast(coalesce(returned.returned_amount, 0) as decimal(18, 2)) as returned_amount,
        {{ product_in_cents('(converted.quantity - coalesce(returned.returned_quantity, 0))', 'products.unit_cost') }}
            as cost_amount

    from converted
    left join products
        on
            converted.product_id = products.product_id
            and converted.order_date >= products.valid_from
            and converted.order_date < products.valid_to
    left join returned on converted.order_line_id = returned.order_line_id

),

final as (

    select
        order_line_id,
        order_id,
        customer_id,
        customer_key,
        product_key,
        channel_id,

        order_date,
        ordered_at,

        quantity,
        returned_quantity,

        gross_amount,
        discount_amount,
        {{ product_in_cents('(gross_amount - discount_amount)', 'tax_rate', decimals=[2, 6]) }} as tax_amount,
        returned_amount,
        cast(gross_amount - discount_amount - returned_amount as decimal(18, 2)) as net_amount,
        cost_amount,
        cast(gross_amount - discount_amount - returned_amount - cost_amount as decimal(18, 2)) as margin_amount,

        currency,
        fx_rate,

        is_test,
        is_kept

    from valued

)

select * from final
