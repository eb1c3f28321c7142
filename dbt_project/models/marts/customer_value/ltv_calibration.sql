with

backtested as (

    select * from {{ ref('int_ltv_backtested') }}

),

deciles as (

    select
        *,
        {{ integer_series('1', '10') }} as decile

    from backtested
    where rmse is not null

),

final as (

    select
        cutoff_date,
        cast(horizon_months as integer) as horizon_months,
        model,
        is_chosen,
        cast(decile as integer) as decile,
        {{ list_item('decile_customers', 'decile') }} as customers,
        {{ list_item('decile_predicted', 'decile') }} as predicted_value,
        {{ list_item('decile_actual', 'decile') }} as actual_value

    from deciles
    where {{ list_item('decile_customers', 'decile') }} > 0

)

select * from final
