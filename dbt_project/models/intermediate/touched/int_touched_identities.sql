-- depends_on: {{ ref('int_customer_identity') }}
with

final as (

    select
        source_customer_id,
        customer_id

    from {{ source('control', 'touched_identity') }}

)

select * from final
