{{ config(
    pre_hook="{{ remember_last('identity', this, {'source_customer_id': dbt.type_string(), 'customer_id': dbt.type_string()}) }}"
) }}

with

accounts as (

    select
        customer_id as source_customer_id,
        max_by(source_system, delivery_date) as source_system

    from {{ ref('stg_crm__customers') }}
    group by customer_id

),

referenced as (

    select customer_id as source_customer_id from {{ ref('stg_shop__orders') }}
    union
    select customer_id as source_customer_id from {{ ref('stg_marketing__messages') }}
    union
    select customer_id as source_customer_id from {{ ref('stg_web__events') }}

),

unknown as (

    select referenced.source_customer_id

    from referenced
    left join accounts on referenced.source_customer_id = accounts.source_customer_id
    where
        referenced.source_customer_id is not null
        and accounts.source_customer_id is null

),

final as (

    select
        source_customer_id,
        source_customer_id as customer_id,
        source_system,
        false as is_inferred

    from accounts

    union all

    select
        source_customer_id,
        source_customer_id as customer_id,
        null as source_system,
        true as is_inferred

    from unknown

)

select * from final
