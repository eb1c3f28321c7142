with

costs as (

    select * from {{ ref('stg_marketing__costs') }}

),

rates as (

    select * from {{ ref('int_exchange_rates_applied') }}

),

final as (

    select
        costs.campaign_id,
        costs.cost_date,
        {{ convert_amount('costs.cost_amount', 'rates.fx_rate') }} as cost_amount,
        costs.currency,
        rates.fx_rate

    from costs
    left join rates
        on
            costs.currency = rates.currency
            and costs.cost_date = rates.applied_date

)

select * from final
