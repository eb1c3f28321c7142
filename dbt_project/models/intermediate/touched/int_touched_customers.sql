-- depends_on: {{ ref('stg_crm__customers') }}, {{ ref('stg_crm__consents') }}
with

accounts as (

    select customer_id as source_customer_id from {{ source('control', 'touched_customers') }}
    union
    select customer_id as source_customer_id from {{ source('control', 'touched_consents') }}

),

customers as (

    select identity.customer_id

    from {{ ref('int_customer_identity') }} as identity
    semi join accounts on identity.source_customer_id = accounts.source_customer_id

),

final as (

    select customer_id from customers
    union
    select customer_id from {{ ref('int_touched_identities') }}
    union
    select customer_id from {{ ref('int_touched_records') }}
    where record_kind = 'guest_order'

)

select * from final
