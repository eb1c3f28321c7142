{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_customers', 'columns': ['customer_id']}]}
) }}

with

identity as (

    select identity.*

    from {{ ref('int_customer_identity') }} as identity
    {{ semi_join_touched('int_touched_customers', 'identity', ['customer_id']) }}

),

-- guests without an account are customers too, of whom nothing is known but their orders
guests as (

    select distinct guests.customer_id

    from {{ ref('int_record_identity') }} as guests
    {{ semi_join_touched('int_touched_customers', 'guests', ['customer_id']) }}
    where guests.record_kind = 'guest_order'

),

versions as (

    select
        identity.customer_id,
        identity.source_customer_id,
        accounts.acquisition_channel_id,
        accounts.acquisition_campaign_id,
        accounts.country,
        accounts.postal_code,
        accounts.birth_date,
        -- the mart keeps the area and the year, not the code and the day
        upper(substring(trim(accounts.postal_code), 1, 2)) as postal_area,
        {{ year_of('accounts.birth_date') }} as birth_year,
        accounts.gender,
        accounts.is_member,
        accounts.member_since,
        {{ source_trust('accounts.source_system') }} as trust,
        {{ completeness('accounts') }} as completeness,
        accounts.delivery_date,
        lead(accounts.delivery_date, 1, date '9999-12-31') over (
            partition by accounts.customer_id
            order by accounts.delivery_date
        ) as next_delivery_date

    from identity
    inner join {{ ref('stg_crm__customers') }} as accounts on identity.source_customer_id = accounts.customer_id

),

change_days as (

    select
        customer_id,
        delivery_date

    from versions
    group by
        customer_id,
        delivery_date

),

in_force as (

    select
        versions.*,
        change_days.delivery_date as changed_on

    from change_days
    inner join versions
        on
            change_days.customer_id = versions.customer_id
            and change_days.delivery_date >= versions.delivery_date
            and change_days.delivery_date < versions.next_delivery_date

),

-- the golden record on each day on which any of its accounts changed
golden as (

    select
        customer_id,
        {{ survivor('acquisition_channel_id') }} as acquisition_channel_id,
        {{ survivor('acquisition_campaign_id') }} as acquisition_campaign_id,
        {{ survivor('country') }} as country,
        {{ survivor('postal_code', 'postal_area') }} as postal_area,
        {{ survivor('birth_date', 'birth_year') }} as birth_year,
        {{ survivor('gender') }} as gender,
        bool_or(is_member) as is_member,
        min(member_since) as member_since,
        changed_on as delivery_date

    from in_force
    group by
        customer_id,
        changed_on

),

customers as (

    select customer_id from identity
    union
    select customer_id from guests

),

profiles as (

    select
        customers.customer_id,
        golden.acquisition_channel_id,
        golden.acquisition_campaign_id,
        golden.country,
        golden.postal_area,
        golden.birth_year,
        golden.gender,
        golden.is_member,
        golden.member_since,
        golden.delivery_date

    from customers
    left join golden on customers.customer_id = golden.customer_id

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
