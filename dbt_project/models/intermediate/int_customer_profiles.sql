{{ config(
    materialized='incremental',
    incremental_strategy='touched',
    on_schema_change='fail',
    meta={'touched_by': [{'table': 'intermediate.int_touched_customers', 'columns': ['customer_id']}]}
) }}

with

accounts as (

    select * from {{ ref('stg_crm__customers') }}

),

identity as (

    select identity.*

    from {{ ref('int_customer_identity') }} as identity
    {{ semi_join_touched('int_touched_customers', 'identity', ['customer_id']) }}

),

profiles as (

    select
        identity.customer_id,
        accounts.acquisition_channel_id,
        accounts.acquisition_campaign_id,
        accounts.country,
        -- the mart keeps the area and the year, not the code and the day
        upper(substring(trim(accounts.postal_code), 1, 2)) as postal_area,
        cast(extract(year from birth_date) as integer) as birth_year,
        accounts.gender,
        accounts.is_member,
        accounts.member_since,
        accounts.delivery_date

    from identity
    left join accounts on identity.source_customer_id = accounts.customer_id

),

hashed as (

    select
        *,
        {{ hash_key([
            'acquisition_channel_id', 'acquisition_campaign_id', 'country', 'postal_area', 'birth_year',
            'gender', 'is_member', 'member_since',
        ]) }} as profile_hash

    from profiles

),

compared as (

    select
        *,
        lag(profile_hash) over (partition by customer_id order by delivery_date) as previous_profile_hash

    from hashed

),

final as (

    select
        customer_id,
        acquisition_channel_id,
        acquisition_campaign_id,

        country,
        postal_area,
        birth_year,
        gender,
        is_member,
        member_since,

        -- what was first delivered is taken to have held before
        case when previous_profile_hash is null then date '1900-01-01' else delivery_date end as profile_from

    from compared
    where previous_profile_hash is null or profile_hash <> previous_profile_hash

)

select * from final
