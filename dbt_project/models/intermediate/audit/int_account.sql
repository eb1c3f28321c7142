with

final as (

    select * from {{ ref('int_account_raw_to_staging') }}

    union all

    select * from {{ ref('int_account_staging_to_facts') }}

    union all

    select * from {{ ref('int_account_facts_to_marts') }}

)

select * from final
