{{ config(
    pre_hook=[
        "{{ remember_touched('campaigns', ['campaign_id']) }}",
        "{{ remember_last('campaigns', this, {'campaign_id': dbt.type_string(), 'medium': dbt.type_string(), 'coupon_code': dbt.type_string(), 'reports_conversions': 'boolean'}) }}"
    ],
    meta={'touched_by': [{'table': 'control.touched_campaigns', 'columns': ['campaign_id']}]}
) }}

with

last_rows as (

    {{ current_rows('campaigns', key=['campaign_id'], columns=[
        'campaign_name',
        'medium',
        'objective',
        'coupon_code',
        'control_share',
        'has_control_group',
        'reports_conversions',
        'started_on',
        'ended_on'
    ]) | indent(4) }}

),

final as (

    select
        campaign_id,

        campaign_name,
        medium,
        objective,
        coupon_code,

        control_share,

        has_control_group,
        reports_conversions,
        is_listed,

        started_on,
        ended_on,
        _delivery_date as delivery_date

    from last_rows

)

select * from final
