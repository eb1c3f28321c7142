{{ config(
    materialized='incremental',
    meta={
        'touched_by': [{'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}],
        'referenced': ['customer_id', 'customer_key']
    }
) }}

with

versions as (

    select versions.*

    from {{ ref('int_customer_versions') }} as versions
    {{ semi_join_touched('int_touched_buyers', 'versions', ['customer_id']) }}

),

profiles as (

    select * from {{ ref('int_customer_profiles') }}

),

acquisitions as (

    select
        orders.customer_id,
        min(orders.order_date) as acquired_on

    from {{ ref('int_orders_enriched') }} as orders
    {{ semi_join_touched('int_touched_buyers', 'orders', ['customer_id']) }}
    where orders.is_kept and orders.customer_id is not null
    group by orders.customer_id

),

final as (

    select
        {{ hash_key(['versions.customer_id', 'versions.valid_from']) }} as customer_key,
        versions.customer_id,
        versions.valid_from,
        versions.valid_to,
        versions.valid_to = date '9999-12-31' as is_current,

        profiles.country,
        profiles.postal_area,
        profiles.birth_year,
        profiles.gender,

        profiles.is_member,
        profiles.member_since,

        profiles.acquisition_channel_id,
        profiles.acquisition_campaign_id,
        acquisitions.acquired_on,

        versions.consent_email,
        versions.consent_sms,
        versions.consent_mail,
        versions.consent_profiling

    from versions
    inner join profiles
        on
            versions.customer_id = profiles.customer_id
            and versions.profile_from = profiles.profile_from
    left join acquisitions on versions.customer_id = acquisitions.customer_id

)

select * from final
