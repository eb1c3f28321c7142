{{ config(
    materialized='incremental',
    pre_hook="{{ remember_identified(
        'identity', identity_records(of_accounts=true), keys=['source_customer_id'],
        columns=['customer_id', 'source_system', 'is_inferred', 'first_seen_date']
    ) }}",
    meta={'touched_by': [{'table': 'control.touched_identity', 'columns': ['source_customer_id']}]}
) }}

with

records as (

    {{ identity_records(of_accounts=true) | indent(4) }}

),

final as (

    select records.*

    from records
    {{ semi_join_touched('control.touched_identity', 'records', ['source_customer_id']) }}

)

select * from final
