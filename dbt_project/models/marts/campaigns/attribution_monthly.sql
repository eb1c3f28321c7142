with

attributed as (

    select
        {{ month_start('order_date') }} as month_start,
        model,
        channel,
        campaign_id,
        sum(share) as orders,
        sum(share) filter (where attributed_margin is not null) as orders_of_known_margin,
        sum(attributed_net_amount) as net_amount,
        sum(attributed_margin) as margin_amount

    from {{ ref('order_attribution') }}
    group by all

),

credited as (

    select
        month_start,
        model,
        sum(orders) as orders,
        sum(orders_of_known_margin) as orders_of_known_margin,
        sum(net_amount) as net_amount,
        sum(margin_amount) as margin_amount

    from attributed
    group by month_start, model

),

models as (

    select model from credited
    group by model

),

kept as (

    select
        {{ month_start('order_date') }} as month_start,
        count(*) as orders,
        count(margin_amount) as orders_of_known_margin,
        sum(net_amount) as net_amount,
        sum(margin_amount) as margin_amount

    from {{ ref('fct_orders') }}
    where is_kept
    group by {{ month_start('order_date') }}

),

-- the shares of an order sum to 1 and its amounts to the order's: what is left is of orders without a touch
unattributed as (

    select
        kept.month_start,
        models.model,
        cast(null as {{ dbt.type_string() }}) as channel,
        cast(null as {{ dbt.type_string() }}) as campaign_id,
        kept.orders - coalesce(credited.orders, 0) as orders,
        kept.net_amount - coalesce(credited.net_amount, 0) as net_amount,
        case
            when kept.orders_of_known_margin > coalesce(credited.orders_of_known_margin, 0)
                then kept.margin_amount - coalesce(credited.margin_amount, 0)
        end as margin_amount

    from kept
    cross join models
    left join credited
        on
            kept.month_start = credited.month_start
            and models.model = credited.model
    where kept.orders > coalesce(credited.orders, 0)

),

all_orders as (

    select
        month_start,
        model,
        channel,
        campaign_id,
        orders,
        net_amount,
        margin_amount

    from attributed

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
