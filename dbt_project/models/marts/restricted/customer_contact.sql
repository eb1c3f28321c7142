{%- set attributes = [
    'first_name', 'last_name', 'email', 'phone', 'street', 'postal_code', 'city', 'country', 'birth_date',
    'loyalty_number', 'gender', 'acquisition_channel_id', 'acquisition_campaign_id',
] -%}

{{ config(
    materialized='incremental',
    meta={'touched_by': [{'table': 'intermediate.int_touched_customers', 'columns': ['customer_id']}]}
) }}

with

identity as (

    select
        identity.customer_id,
        identity.source_customer_id

    from {{ ref('int_customer_identity') }} as identity
    {{ semi_join_touched('int_touched_customers', 'identity', ['customer_id']) }}

),

accounts as (

    select
        accounts.*,
        identity.customer_id as golden_id,
        row_number() over (partition by accounts.customer_id order by accounts.delivery_date desc) as recency

    from {{ ref('stg_crm__customers') }} as accounts
    inner join identity on accounts.customer_id = identity.source_customer_id

),

versions as (

    select
        accounts.golden_id as customer_id,
        accounts.customer_id as source_customer_id,
        accounts.first_name,
        accounts.last_name,
        accounts.email,
        accounts.phone,
        accounts.street,
        accounts.postal_code,
        accounts.city,
        accounts.country,
        accounts.birth_date,
        accounts.loyalty_number,
        accounts.gender,
        accounts.acquisition_channel_id,
        accounts.acquisition_campaign_id,
        accounts.is_member,
        accounts.member_since,
        accounts.delivery_date,
        {{ source_trust('accounts.source_system') }} as trust,
        {{ completeness('accounts') }} as completeness,
        {{ email_verification('accounts') }} as verification

    from accounts
    where accounts.recency = 1

),

-- each value with the account that it is of: one search for both
golden as (

    select
        customer_id,
        {%- for attribute in attributes %}
            {{ survivor(attribute, record([attribute, 'source_customer_id'])) }} as {{ attribute }},
        {%- endfor %}
        -- a member by any account, since the first day of any
        bool_or(is_member) as is_member,
        min(source_customer_id) filter (where is_member) as is_member_source,
        min(member_since) as member_since,
        min_by(source_customer_id, {{ record(['member_since', 'source_customer_id']) }})
        filter (where member_since is not null) as member_since_source

    from versions
    group by customer_id

),

final as (

    select
        golden.customer_id,
        {%- for attribute in attributes %}
            golden.{{ attribute }}.{{ attribute }} as {{ attribute }},
            golden.{{ attribute }}.source_customer_id as {{ attribute }}_source,
        {%- endfor %}
        golden.is_member,
        golden.is_member_source,
        golden.member_since,
        golden.member_since_source

    from golden

)

select * from final
