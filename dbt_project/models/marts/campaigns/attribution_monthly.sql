with

attributed as (

    select
        {{ month_start('order_date') }} as month_start,
        model,
        channel,
        campaign_id,
        sum(share) as orders,
        sum(attributed_net_amount) as net_amount,
        sum(attributed_margin) as margin_amount

    from {{ ref('order_attribution') }}
    group by all

),

credited as (

    select
        order_id,
        model

    from {{ ref('order_attribution') }}
    group by order_id, model

),

models as (

    select model from credited
    group by model

),

unattributed as (

    select
        {{ month_start('orders.order_date') }} as month_start,
        models.model,
        cast(null as {{ dbt.type_string() }}) as channel,
        cast(null as {{ dbt.type_string() }}) as campaign_id,
        cast(count(*) as decimal(38, 10)) as orders,
        sum(orders.net_amount) as net_amount,
        sum(orders.margin_amount) as margin_amount

    from {{ ref('fct_orders') }} as orders
    cross join models
    left join credited
        on
            orders.order_id = credited.order_id
            and models.model = credited.model
    where
        orders.is_kept
        and credited.order_id is null
    group by all

),

all_orders as (

    select * from attributed
    union all
    select * from unattributed

),

final as (

    select
        month_start,
        model,
        channel,
        campaign_id,
        cast(orders as decimal(28, 10)) as orders,
        cast(net_amount as decimal(18, 2)) as net_amount,
        cast(margin_amount as decimal(18, 2)) as margin_amount

    from all_orders

)

select * from final
