with

final as (

    select
        source_customer_id,
        customer_id,
        source_system,
        is_inferred

    from {{ ref('int_customer_identity') }}

)

select * from final
