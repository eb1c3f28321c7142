with

current_rows as (

    {{ current_rows('campaign_costs', key=['campaign_id', 'cost_date']) | indent(4) }}

),

final as (

    select
        campaign_id,

        currency,

        cost_amount,

        cost_date

    from current_rows

)

select * from final
