{{ config(pre_hook="{{ remember_last('first_month', this, {'month_index': 'integer'}) }}") }}

with

first_months as (

    select min(from_month) as month_index
    from {{ ref('int_customer_value_states') }}

    union all

    select min({{ month_index('session_date') }}) as month_index
    from {{ ref('fct_web_sessions') }}
    where not is_bot

),

final as (

    select min(month_index) as month_index
    from first_months

)

select * from final
