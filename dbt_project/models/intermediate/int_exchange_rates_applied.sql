{{ config(
    pre_hook="{{ remember_last('rates', this, {
        'currency': dbt.type_string(), 'applied_date': 'date', 'fx_rate': 'decimal(18, 8)'
    }) }}"
) }}

with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

needed as (

    select
        currency,
        order_date as applied_date

    from {{ ref('stg_shop__orders') }}

    union

    select
        currency,
        cost_date as applied_date

    from {{ ref('stg_marketing__costs') }}

),

rate_periods as (

    select
        currency,
        rate,
        rate_date,
        lead(rate_date, 1, date '9999-12-31') over (partition by currency order by rate_date) as next_rate_date

    from {{ ref('stg_finance__exchange_rates') }}

),

final as (

    select
        needed.currency,
        needed.applied_date,
        case
            when needed.currency = run.reporting_currency then cast(1 as decimal(18, 8))
            else rate_periods.rate
        end as fx_rate

    from needed
    cross join run
    left join rate_periods
        on
            needed.currency = rate_periods.currency
            and needed.applied_date >= rate_periods.rate_date
            and needed.applied_date < rate_periods.next_rate_date

)

select * from final
