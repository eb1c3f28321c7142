with

changed as (

    select *
    from {{ differing_rows(
        source('control', 'last_identity'), ref('int_customer_identity'), ['source_customer_id', 'customer_id']
    ) | indent(4) }} as differing

),

final as (

    select distinct
        source_customer_id,
        customer_id

    from changed

)

select * from final
