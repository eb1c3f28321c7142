{{ config(
    pre_hook={'transaction': false, 'sql': "{{ remember_last(
        'known_campaigns', this, {'campaign_id': dbt.type_string(), 'medium': dbt.type_string()}
    ) }}"},
    meta={'referenced': ['campaign_id']}
) }}

with

delivered as (

    select * from {{ ref('stg_marketing__campaigns') }}

),

referenced as (

    select campaign_id from {{ ref('stg_marketing__messages') }}
    union
    select campaign_id from {{ ref('stg_marketing__costs') }}
    union
    select campaign_id from {{ ref('stg_shop__orders') }}
    union
    select acquisition_campaign_id as campaign_id from {{ ref('stg_crm__customers') }}
    union
    select planned.campaign_id
    from {{ source('activation', 'planned_actions') }} as planned
    inner join {{ source('control', 'run_parameters') }} as run on planned.planned_on <= run.as_of_date

),

costs as (

    select
        campaign_id,
        cast(sum(cost_amount) as decimal(18, 2)) as cost_amount

    from {{ ref('fct_campaign_costs') }}
    group by campaign_id

),

campaigns as (

    select
        campaign_id,
        campaign_name,
        medium,
        objective,
        started_on,
        ended_on,
        coalesce(has_control_group, false) as has_control_group,
        control_share,
        reports_conversions,
        coupon_code,
        is_listed,
        false as is_inferred

    from delivered

    union all

    select
        referenced.campaign_id,
        'unknown' as campaign_name,
        cast(null as {{ dbt.type_string() }}) as medium,
        cast(null as {{ dbt.type_string() }}) as objective,
        cast(null as date) as started_on,
        cast(null as date) as ended_on,
        cast(null as boolean) as has_control_group,
        cast(null as decimal(9, 8)) as control_share,
        cast(null as boolean) as reports_conversions,
        cast(null as {{ dbt.type_string() }}) as coupon_code,
        false as is_listed,
        true as is_inferred

    from referenced
    left join delivered on referenced.campaign_id = delivered.campaign_id
    where
        referenced.campaign_id is not null
        and delivered.campaign_id is null

),

final as (

    select
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.medium,
        campaigns.objective,
        campaigns.started_on,
        campaigns.ended_on,
        campaigns.has_control_group,
        campaigns.control_share,
        campaigns.reports_conversions,
        campaigns.coupon_code,
        costs.cost_amount,
        campaigns.is_listed,
        campaigns.is_inferred

    from campaigns
    left join costs on campaigns.campaign_id = costs.campaign_id

)

select * from final
