with

changed as (

    select *
    from {{ differing_rows(
        source('control', 'last_records'), ref('int_record_identity'), ['record_kind', 'source_id', 'customer_id']
    ) | indent(4) }} as differing

),

final as (

    select distinct
        record_kind,
        source_id,
        customer_id

    from changed

)

select * from final
