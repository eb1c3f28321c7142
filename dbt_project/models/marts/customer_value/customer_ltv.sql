with

estimated as (

    select * from {{ ref('int_ltv_estimated') }}

),

final as (

    select
        customer_id,
        as_of_date,
        model,
        model_version,
        fit_group,
        value_unit,
        discount_rate,
        p_alive,
        expected_orders_12m,
        expected_orders_24m,
        expected_orders_36m,
        expected_order_value,
        predicted_value_12m,
        predicted_value_12m_low,
        predicted_value_12m_high,
        predicted_value_24m,
        predicted_value_24m_low,
        predicted_value_24m_high,
        predicted_value_36m,
        predicted_value_36m_low,
        predicted_value_36m_high,
        expected_next_order_date,
        churn_risk,
        value_tier,
        is_stale,
        reason

    from estimated

)

select * from final
