{{ config(
    pre_hook="{{ remember_touched('consents', ['customer_id', 'consent_type', 'recorded_at']) }}",
    meta={'touched_by': [{'table': 'control.touched_consents', 'columns': ['customer_id', 'consent_type', 'recorded_at']}]}
) }}

with

current_rows as (

    {{ current_rows('consents', key=['customer_id', 'consent_type', 'recorded_at']) | indent(4) }}

),

final as (

    select
        customer_id,

        consent_type,

        is_granted,

        recorded_at,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
