-- depends_on: {{ ref('stg_shop__returns') }}
with

orders_of_returns as (

    select lines.order_id

    from {{ ref('stg_shop__order_lines') }} as lines
    semi join {{ source('control', 'touched_returns') }} as returned on lines.order_line_id = returned.order_line_id

),

-- accounts of customers that have other versions now, or are others
accounts as (

    select identity.source_customer_id

    from {{ ref('int_customer_identity') }} as identity
    semi join {{ ref('int_touched_customers') }} as customers on identity.customer_id = customers.customer_id

    union

    select source_customer_id from {{ ref('int_touched_identities') }}

),

orders_of_accounts as (

    select orders.order_id

    from {{ ref('stg_shop__orders') }} as orders
    semi join accounts on orders.customer_id = accounts.source_customer_id

),

orders_of_guests as (

    select records.source_id as order_id

    from {{ ref('int_record_identity') }} as records
    semi join {{ ref('int_touched_customers') }} as customers on records.customer_id = customers.customer_id
    where records.record_kind = 'guest_order'

    union

    select source_id as order_id from {{ ref('int_touched_records') }}
    where record_kind = 'guest_order'

),

changed_rates as (

    select distinct
        currency,
        applied_date

    from {{ differing_rows(
        source('control', 'last_rates'), ref('int_exchange_rates_applied'), ['currency', 'applied_date', 'fx_rate']
    ) | indent(4) }} as differing

),

orders_of_rates as (

    select orders.order_id

    from {{ ref('stg_shop__orders') }} as orders
    semi join changed_rates
        on
            orders.currency = changed_rates.currency
            and orders.order_date = changed_rates.applied_date

),

changed_versions as (

    select *
    from {{ differing_rows(
        source('control', 'last_products'), ref('stg_erp__products'), ['product_id', 'unit_cost', 'delivery_date']
    ) | indent(4) }} as differing

),

product_versions as (

    select
        product_id,
        delivery_date

    from {{ source('control', 'last_products') }}

    union all

    select
        product_id,
        delivery_date

    from {{ ref('stg_erp__products') }}

),

first_versions as (

    select
        versions.product_id,
        min(versions.delivery_date) as first_delivery_date

    from product_versions as versions
    semi join changed_versions on versions.product_id = changed_versions.product_id
    group by versions.product_id

),

-- what holds of a product changes from its changed version on; its first version holds for all time before, too
changed_products as (

    select
        changed_versions.product_id,
        min(
            case
                when changed_versions.delivery_date = first_versions.first_delivery_date then date '1900-01-01'
                else changed_versions.delivery_date
            end
        ) as changed_from

    from changed_versions
    inner join first_versions on changed_versions.product_id = first_versions.product_id
    group by changed_versions.product_id

),

orders_of_products as (

    select lines.order_id

    from {{ ref('stg_shop__order_lines') }} as lines
    inner join changed_products on lines.product_id = changed_products.product_id
    inner join {{ ref('stg_shop__orders') }} as orders
        on
            lines.order_id = orders.order_id
            and changed_products.changed_from <= orders.order_date

),

final as (

    select order_id from {{ source('control', 'touched_orders') }}
    union
    select order_id from {{ source('control', 'touched_order_lines') }}
    union
    select order_id from orders_of_returns
    union
    select order_id from orders_of_accounts
    union
    select order_id from orders_of_guests
    union
    select order_id from orders_of_rates
    union
    select order_id from orders_of_products

)

select * from final
