with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

activity as (

    select
        min(order_date) as first_date,
        max(order_date) as last_date

    from {{ ref('stg_shop__orders') }}

    union all

    select
        min(return_date) as first_date,
        max(return_date) as last_date

    from {{ ref('stg_shop__returns') }}

    union all

    select
        min(session_date) as first_date,
        max(session_date) as last_date

    from {{ ref('fct_web_sessions') }}

    union all

    select
        min(sent_date) as first_date,
        max(sent_date) as last_date

    from {{ ref('fct_campaign_messages') }}

    union all

    select
        min(cost_date) as first_date,
        max(cost_date) as last_date

    from {{ ref('fct_campaign_costs') }}

),

bounds as (

    select
        {{ year_start('least(coalesce(min(activity.first_date), max(run.as_of_date)), max(run.as_of_date))') }} as first_day,
        {{ year_start('greatest(coalesce(max(activity.last_date), max(run.as_of_date)), max(run.as_of_date))') }} as last_year

    from activity
    cross join run

),

days as (

    select {{ date_series('first_day', add_days(add_months('last_year', 12), -1)) }} as date_day
    from bounds

),

final as (

    select
        date_day,
        {{ iso_week('date_day') }} as iso_week,
        {{ iso_day_of_week('date_day') }} as day_of_week,
        {{ month_start('date_day') }} as month_start,
        {{ month_end('date_day') }} as month_end,
        {{ quarter_start('date_day') }} as quarter_start,
        {{ half_year_start('date_day') }} as half_year_start,
        {{ year_of('date_day') }} as year,
        cast(extract(quarter from date_day) as integer) as quarter,
        cast(extract(month from date_day) as integer) as month,
        {{ iso_day_of_week('date_day') }} >= 6 as is_weekend

    from days

)

select * from final
