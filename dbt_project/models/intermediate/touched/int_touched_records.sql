-- depends_on: {{ ref('int_record_identity') }}
with

final as (

    select
        record_kind,
        source_id,
        customer_id

    from {{ source('control', 'touched_records') }}

)

select * from final
