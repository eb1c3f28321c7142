{{ config(
    pre_hook="{{ remember_touched('campaign_costs', ['campaign_id', 'cost_date']) }}",
    meta={'touched_by': [{'table': 'control.touched_campaign_costs', 'columns': ['campaign_id', 'cost_date']}]}
) }}

with

current_rows as (

    {{ current_rows('campaign_costs', key=['campaign_id', 'cost_date']) | indent(4) }}

),

final as (

    select
        campaign_id,

        currency,

        cost_amount,

        cost_date,
        _delivery_date as delivery_date

    from current_rows

)

select * from final
