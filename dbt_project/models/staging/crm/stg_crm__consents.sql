with

current_rows as (

    {{ current_rows('consents', key=['customer_id', 'consent_type', 'recorded_at']) | indent(4) }}

),

final as (

    select
        customer_id,

        consent_type,

        is_granted,

        recorded_at

    from current_rows

)

select * from final
