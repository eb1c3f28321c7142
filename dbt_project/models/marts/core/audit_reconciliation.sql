with

stages as (

    select
        'orders' as table_name,
        'staging' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('stg_shop__orders') }}

    union all

    select
        'orders' as table_name,
        'fact' as stage,
        count(*) as rows,
        null as quantity,
        sum(net_amount) as amount

    from {{ ref('fct_orders') }}

    union all

    select
        'order_lines' as table_name,
        'staging' as stage,
        count(*) as rows,
        sum(quantity) as quantity,
        null as amount

    from {{ ref('stg_shop__order_lines') }}

    union all

    select
        'order_lines' as table_name,
        'fact' as stage,
        count(*) as rows,
        sum(quantity) as quantity,
        sum(net_amount) as amount

    from {{ ref('fct_order_lines') }}

    union all

    select
        'returns' as table_name,
        'staging' as stage,
        count(*) as rows,
        sum(returned_quantity) as quantity,
        null as amount

    from {{ ref('stg_shop__returns') }}

    union all

    select
        'returns' as table_name,
        'fact' as stage,
        count(*) as rows,
        sum(returned_quantity) as quantity,
        sum(returned_amount) as amount

    from {{ ref('fct_returns') }}

    union all

    select
        'web_events' as table_name,
        'staging' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('stg_web__events') }}

    union all

    select
        'web_events' as table_name,
        'fact' as stage,
        coalesce(sum(events), 0) as rows,
        null as quantity,
        null as amount

    from {{ ref('fct_web_sessions') }}

    union all

    select
        'campaign_messages' as table_name,
        'staging' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('stg_marketing__messages') }}

    union all

    select
        'campaign_messages' as table_name,
        'fact' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('fct_campaign_messages') }}

    union all

    select
        'campaign_reactions' as table_name,
        'staging' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('stg_marketing__reactions') }}

    union all

    select
        'campaign_reactions' as table_name,
        'fact' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('fct_campaign_reactions') }}

    union all

    select
        'campaign_costs' as table_name,
        'staging' as stage,
        count(*) as rows,
        null as quantity,
        null as amount

    from {{ ref('stg_marketing__costs') }}

    union all

    select
        'campaign_costs' as table_name,
        'fact' as stage,
        count(*) as rows,
        null as quantity,
        sum(cost_amount) as amount

    from {{ ref('fct_campaign_costs') }}

    union all

    select
        table_name,
        'excluded' as stage,
        sum(rows) as rows,
        sum(quantity) as quantity,
        cast(null as decimal(18, 2)) as amount

    from {{ ref('audit_exclusions') }}
    where table_name <> 'consents'
    group by table_name

),

final as (

    select
        table_name,
        stage,
        cast(rows as bigint) as rows,
        cast(quantity as decimal(18, 3)) as quantity,
        cast(amount as decimal(18, 2)) as amount

    from stages

)

select * from final
