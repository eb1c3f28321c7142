with

backtested as (

    select * from {{ ref('int_ltv_backtested') }}

),

final as (

    select
        cutoff_date,
        cast(horizon_months as integer) as horizon_months,
        model,
        is_chosen,
        customers,
        mae,
        mae_naive,
        mae_carry_forward,
        mae_average,
        rmse,
        rmse_naive,
        rmse_carry_forward,
        rmse_average,
        spearman,
        spearman_naive,
        spearman_carry_forward,
        spearman_average,
        bias,
        coverage_80,
        hits_80,
        top_decile_lift,
        nullif(reason, '') as reason

    from backtested

)

select * from final
