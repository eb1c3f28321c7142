{{ config(
    pre_hook="{{ remember_last('records', this, {
        'record_kind': dbt.type_string(), 'source_id': dbt.type_string(), 'customer_id': dbt.type_string()
    }) }}"
) }}

with

records as (

    select * from {{ source('identity', 'identities') }}

),

final as (

    select
        record_kind,
        source_id,
        customer_id

    from records
    where record_kind <> 'account'

)

select * from final
