{{ config(
    materialized='incremental',
    incremental_strategy='touched',
    on_schema_change='fail',
    meta={'touched_by': [{'table': 'intermediate.int_touched_customers', 'columns': ['customer_id']}]}
) }}

with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

profiles as (

    select
        customer_id,
        profile_from

    from {{ ref('int_customer_profiles') }} as profiles
    {{ semi_join_touched('int_touched_customers', 'profiles', ['customer_id']) }}

),

decisions as (

    select
        identity.customer_id,
        consents.consent_type,
        consents.is_granted,
        consents.recorded_at,
        {{ business_date('consents.recorded_at', 'run.business_timezone') }} as recorded_date

    from {{ ref('stg_crm__consents') }} as consents
    inner join {{ ref('int_customer_identity') }} as identity
        on consents.customer_id = identity.source_customer_id
    {{ semi_join_touched('int_touched_customers', 'identity', ['customer_id']) }}
    cross join run

),

-- The last decision of a day, as one number that grows with the day: twice the day, plus one if granted.
-- The greatest number up to a day is then the decision in force on it.
daily_decisions as (

    select
        customer_id,
        consent_type,
        recorded_date,
        2 * {{ days_between("date '1900-01-01'", 'recorded_date') }}
        + case when max_by(is_granted, recorded_at) then 1 else 0 end as decision_code

    from decisions
    group by
        customer_id,
        consent_type,
        recorded_date

),

changes as (

    select
        customer_id,
        profile_from as changed_on,
        profile_from,
        cast(null as bigint) as email_code,
        cast(null as bigint) as sms_code,
        cast(null as bigint) as mail_code,
        cast(null as bigint) as profiling_code

    from profiles

    union all

    select
        customer_id,
        recorded_date as changed_on,
        cast(null as date) as profile_from,
        max(case when consent_type = 'email' then decision_code end) as email_code,
        max(case when consent_type = 'sms' then decision_code end) as sms_code,
        max(case when consent_type = 'mail' then decision_code end) as mail_code,
        max(case when consent_type = 'profiling' then decision_code end) as profiling_code

    from daily_decisions
    group by
        customer_id,
        recorded_date

),

change_days as (

    select
        customer_id,
        changed_on,
        max(profile_from) as profile_from,
        max(email_code) as email_code,
        max(sms_code) as sms_code,
        max(mail_code) as mail_code,
        max(profiling_code) as profiling_code

    from changes
    group by
        customer_id,
        changed_on

),

in_force as (

    select
        customer_id,
        changed_on,
        max(profile_from) over up_to_then as profile_from,
        coalesce(max(email_code) over up_to_then % 2 = 1, false) as consent_email,
        coalesce(max(sms_code) over up_to_then % 2 = 1, false) as consent_sms,
        coalesce(max(mail_code) over up_to_then % 2 = 1, false) as consent_mail,
        coalesce(max(profiling_code) over up_to_then % 2 = 1, false) as consent_profiling

    from change_days
    window
        up_to_then as (
            partition by customer_id
            order by changed_on
            rows between unbounded preceding and current row
        )

),

compared as (

    select
        *,
        {{ hash_key(['profile_from', 'consent_email', 'consent_sms', 'consent_mail', 'consent_profiling']) }} as state_hash

    from in_force

),

marked as (

    select
        *,
        lag(state_hash) over (partition by customer_id order by changed_on) as previous_state_hash

    from compared

),

final as (

    select
        customer_id,
        profile_from,
        consent_email,
        consent_sms,
        consent_mail,
        consent_profiling,
        changed_on as valid_from,
        lead(changed_on, 1, date '9999-12-31') over (partition by customer_id order by changed_on) as valid_to

    from marked
    -- a consent given again changes nothing
    where previous_state_hash is null or state_hash <> previous_state_hash

)

select * from final
