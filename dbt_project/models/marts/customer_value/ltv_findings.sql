with

found as (

    select * from {{ ref('int_ltv_findings') }}

),

final as (

    select
        check_name,
        passed,
        value,
        limit_value,
        message

    from found

)

select * from final
