{{ config(
    pre_hook="{{ remember_last('identity', this, {
        'source_customer_id': dbt.type_string(), 'customer_id': dbt.type_string(), 'first_seen_date': 'date'
    }) }}"
) }}

with

records as (

    select * from {{ source('identity', 'identities') }}

),

final as (

    select
        source_id as source_customer_id,
        customer_id,
        source_system,
        is_inferred,
        first_seen as first_seen_date

    from records
    where record_kind = 'account'

)

select * from final
