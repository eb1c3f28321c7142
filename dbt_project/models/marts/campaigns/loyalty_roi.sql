with

effects as (

    select * from {{ ref('int_loyalty_effects') }}

),

final as (

    select
        comparison,
        cast(horizon_months as integer) as horizon_months,
        members,
        members_compared,
        compared_with,
        {% for amount in ['margin_per_member', 'margin_per_compared', 'margin_gain', 'margin_gain_low', 'margin_gain_high'] -%}
            cast(round({{ amount }}, 2) as decimal(18, 2)) as {{ amount }},
        {% endfor -%}
        p_value,
        cast(round(cost_per_member, 2) as decimal(18, 2)) as cost_per_member,
        roi,
        roi_low,
        roi_high,
        reason

    from effects

)

select * from final
