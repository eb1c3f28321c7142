with

effects as (

    select * from {{ ref('int_campaign_effects') }}
    where arm is null

),

campaigns as (

    select
        campaign_id,
        cost_amount

    from {{ ref('dim_campaign') }}

),

sent as (

    select
        campaign_id,
        count(distinct customer_id) as customers

    from {{ ref('fct_campaign_messages') }}
    group by campaign_id

),

conversions as (

    select * from effects
    where outcome = 'converted'

),

{% for outcome in ['margin', 'net'] -%}
    {{ outcome }}_effects as (

        select
            campaign_id,
            reason,
            is_adjusted,
            p_value,
        {% for bound in ['', '_low', '_high'] -%}
            cast(round(treated * difference{{ bound }}, 2) as decimal(18, 2)) as amount{{ bound }}{{ ',' if not loop.last }}
        {% endfor %}

        from effects
        where outcome = '{{ outcome }}'

    ),

{% endfor -%}

final as (

    select
        sent.campaign_id,
        coalesce(conversions.treated, sent.customers) as treated,
        coalesce(conversions.control, 0) as control,
        conversions.value_treated as conversion_rate_treated,
        conversions.value_control as conversion_rate_control,
        conversions.difference as lift,
        conversions.difference_low as lift_low,
        conversions.difference_high as lift_high,
        conversions.p_value,
        conversions.minimum_detectable_difference as minimum_detectable_lift,
        conversions.sample_ratio_p_value,

        net_effects.amount as incremental_net_amount,
        net_effects.amount_low as incremental_net_amount_low,
        net_effects.amount_high as incremental_net_amount_high,

        margin_effects.amount as incremental_margin,
        margin_effects.amount_low as incremental_margin_low,
        margin_effects.amount_high as incremental_margin_high,
        margin_effects.p_value as margin_p_value,
        coalesce(margin_effects.is_adjusted, false) as is_adjusted,

        campaigns.cost_amount,
        {% for bound in ['', '_low', '_high'] -%}
            cast(margin_effects.amount{{ bound }} - campaigns.cost_amount as double)
            / nullif(cast(campaigns.cost_amount as double), 0) as incremental_roi{{ bound }},
        {% endfor -%}

        coalesce(conversions.is_complete, false) as is_complete,
        case
            when conversions.campaign_id is null then 'no control group: what the campaign caused cannot be told'
            else coalesce(conversions.reason, margin_effects.reason)
        end as reason

    from sent
    inner join campaigns on sent.campaign_id = campaigns.campaign_id
    left join conversions on sent.campaign_id = conversions.campaign_id
    left join net_effects on sent.campaign_id = net_effects.campaign_id
    left join margin_effects on sent.campaign_id = margin_effects.campaign_id

)

select * from final
