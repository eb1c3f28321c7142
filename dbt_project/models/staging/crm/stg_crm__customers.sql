{{ config(
    pre_hook="{{ remember_touched('customers', ['customer_id']) }}",
    meta={'touched_by': [{'table': 'control.touched_customers', 'columns': ['customer_id']}]}
) }}

with

versions as (

    {{ version_rows('customers', key=['customer_id'], columns=[
        'source_system',
        'email',
        'is_email_verified',
        'phone',
        'first_name',
        'last_name',
        'street',
        'postal_code',
        'city',
        'country',
        'birth_date',
        'gender',
        'is_member',
        'member_since',
        'loyalty_number',
        'acquisition_channel_id',
        'acquisition_campaign_id',
        'created_on',
        'updated_at'
    ]) | indent(4) }}

),

final as (

    select
        customer_id,
        acquisition_channel_id,
        acquisition_campaign_id,

        source_system,
        email,
        phone,
        first_name,
        last_name,
        street,
        postal_code,
        city,
        country,
        gender,
        loyalty_number,

        is_email_verified,
        is_member,

        birth_date,
        member_since,
        created_on,
        updated_at,
        _delivery_date as delivery_date

    from versions

)

select * from final
