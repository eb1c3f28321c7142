with

effects as (

    select * from {{ ref('int_campaign_effects') }}

),

final as (

    select
        campaign_id,
        arm,
        outcome,
        treated,
        control,
        value_treated,
        value_control,
        difference,
        difference_low,
        difference_high,
        p_value,
        minimum_detectable_difference,
        is_adjusted,
        variance_kept,
        is_complete,
        reason

    from effects
    where arm is not null

)

select * from final
