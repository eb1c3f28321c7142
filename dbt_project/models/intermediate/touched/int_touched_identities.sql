with

changed as (

    select *
    from {{ differing_rows(
        source('control', 'last_identity'), ref('int_customer_identity'), ['source_customer_id', 'customer_id', 'first_seen_date']
    ) | indent(4) }} as differing

),

final as (

    select distinct
        source_customer_id,
        customer_id

    from changed

)

select * from final
