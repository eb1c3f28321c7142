{{ config(
    materialized='incremental',
    pre_hook="{{ remember_identified(
        'records', identity_records(of_accounts=false), keys=['record_kind', 'source_id'], columns=['customer_id']
    ) }}",
    meta={'touched_by': [{'table': 'control.touched_records', 'columns': ['record_kind', 'source_id']}]}
) }}

with

records as (

    {{ identity_records(of_accounts=false) | indent(4) }}

),

final as (

    select records.*

    from records
    {{ semi_join_touched('control.touched_records', 'records', ['record_kind', 'source_id']) }}

)

select * from final
