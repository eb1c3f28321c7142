{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_customers', 'columns': ['customer_id']}]}
) }}

{%- set state_hash = hash_key(['profile_from', 'consent_email', 'consent_sms', 'consent_mail', 'consent_profiling']) %}

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

-- an account counts from the day it was first seen; the customer's first one for all time before, too
accounts as (

    select
        identity.customer_id,
        identity.source_customer_id,
        case
            when identity.first_seen_date = min(identity.first_seen_date) over (partition by identity.customer_id)
                then date '1900-01-01'
            else identity.first_seen_date
        end as counts_from

    from {{ ref('int_customer_identity') }} as identity
    {{ semi_join_touched('int_touched_customers', 'identity', ['customer_id']) }}

),

decisions as (

    select
        accounts.customer_id,
        accounts.source_customer_id,
        consents.consent_type,
        consents.is_granted,
        consents.recorded_at,
        {{ business_date('consents.recorded_at', 'run.business_timezone') }} as recorded_date

    from {{ ref('stg_crm__consents') }} as consents
    inner join accounts on consents.customer_id = accounts.source_customer_id
    cross join run

),

-- The last decision of a day, as one number that grows with the day: twice the day, plus one if granted.
-- The greatest number up to a day is then the decision in force on it.
daily_decisions as (

    select
        customer_id,
        source_customer_id,
        consent_type,
        recorded_date,
        2 * {{ days_between("date '1900-01-01'", 'recorded_date') }}
        + case when max_by(is_granted, recorded_at) then 1 else 0 end as decision_code

    from decisions
    group by
        customer_id,
        source_customer_id,
        consent_type,
        recorded_date

),

account_decisions as (

    select
        source_customer_id,
        recorded_date as changed_on,
        max(case when consent_type = 'email' then decision_code end) as email_code,
        max(case when consent_type = 'sms' then decision_code end) as sms_code,
        max(case when consent_type = 'mail' then decision_code end) as mail_code,
        max(case when consent_type = 'profiling' then decision_code end) as profiling_code

    from daily_decisions
    group by
        source_customer_id,
        recorded_date

),

change_days as (

    select
        customer_id,
        profile_from as changed_on
    from profiles
    union
    select
        customer_id,
        recorded_date as changed_on
    from daily_decisions
    union
    select
        customer_id,
        counts_from as changed_on
    from accounts

),

account_days as (

    select
        change_days.customer_id,
        change_days.changed_on,
        change_days.changed_on >= accounts.counts_from as counts,
        max(account_decisions.email_code) over up_to_then % 2 = 1 as consent_email,
        max(account_decisions.sms_code) over up_to_then % 2 = 1 as consent_sms,
        max(account_decisions.mail_code) over up_to_then % 2 = 1 as consent_mail,
        max(account_decisions.profiling_code) over up_to_then % 2 = 1 as consent_profiling

    from change_days
    inner join accounts on change_days.customer_id = accounts.customer_id
    left join account_decisions
        on
            accounts.source_customer_id = account_decisions.source_customer_id
            and change_days.changed_on = account_decisions.changed_on
    window
        up_to_then as (
            partition by accounts.source_customer_id
            order by change_days.changed_on
            rows between unbounded preceding and current row
        )

),

-- what every account of the customer agreed to: one that never said so did not agree
consents as (

    select
        customer_id,
        changed_on,
        bool_and(coalesce(consent_email, false)) as consent_email,
        bool_and(coalesce(consent_sms, false)) as consent_sms,
        bool_and(coalesce(consent_mail, false)) as consent_mail,
        bool_and(coalesce(consent_profiling, false)) as consent_profiling

    from account_days
    where counts
    group by
        customer_id,
        changed_on

),

in_force as (

    select
        change_days.customer_id,
        change_days.changed_on,
        max(profiles.profile_from) over (
            partition by change_days.customer_id
            order by change_days.changed_on
            rows between unbounded preceding and current row
        ) as profile_from,
        coalesce(consents.consent_email, false) as consent_email,
        coalesce(consents.consent_sms, false) as consent_sms,
        coalesce(consents.consent_mail, false) as consent_mail,
        coalesce(consents.consent_profiling, false) as consent_profiling

    from change_days
    left join profiles
        on
            change_days.customer_id = profiles.customer_id
            and change_days.changed_on = profiles.profile_from
    left join consents
        on
            change_days.customer_id = consents.customer_id
            and change_days.changed_on = consents.changed_on

),

marked as (

    select
        *,
        {{ state_hash }} as state_hash,
        lag({{ state_hash }}) over (partition by customer_id order by changed_on) as previous_state_hash

    from in_force

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
