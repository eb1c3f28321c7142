{#
    Who is compared with whom to tell what loyalty actions bring, and exact sums over them of what came 12, 24 and 36 months later, where these are over.
    `matched`: members, from the day after they enrolled, against customers who were none on a day drawn for each by a hash, among those alike on that day, its orders
    included: market, year, recency, orders, value of a year, tenure. Who enrols later stays in the comparison: leaving them out would look into the future.
    `held_out`: customers of loyalty campaigns with a control group, by the first assignment, within its campaign.
#}
{%- set horizons = [12, 24, 36] -%}

with

run as (

    select as_of_date from {{ source('control', 'run_parameters') }}

),

{{ loyalty_compared() }},

bought as (

    select
        compared.comparison,
        compared.customer_id,
        compared.market,
        compared.is_treated,
        compared.begins_on,
        min(orders.order_date) as first_order_date,
        max(orders.order_date) filter (where orders.order_date <= compared.begins_on) as last_order_date,
        coalesce(
            sum(case when orders.order_date > {{ add_months('compared.begins_on', -12) }} then orders.net_amount end)
            filter (where orders.order_date <= compared.begins_on), 0
        ) as past,
        {% for months in horizons -%}
            count(*) {{ ordered_within(months) }} as orders_{{ months }},
            count(orders.margin_amount) {{ ordered_within(months) }} as orders_of_known_cost_{{ months }},
            cast(coalesce(sum(orders.margin_amount) {{ ordered_within(months) }}, 0) as decimal(18, 2)) as margin_{{ months }},
        {% endfor -%}
        count(*) filter (where orders.order_date <= compared.begins_on) as orders

    from compared
    left join orders on compared.customer_id = orders.customer_id
    group by compared.comparison, compared.customer_id, compared.market, compared.is_treated, compared.begins_on

),

spent as (

    select
        {% for months in horizons -%}
            sum(sent.unit_cost) filter (where messages.sent_date <= {{ add_months('compared.begins_on', months) }}) as cost_{{ months }},
        {% endfor -%}
        compared.comparison,
        compared.customer_id,
        compared.is_treated

    from compared
    inner join loyalty_messages as messages
        on
            compared.customer_id = messages.customer_id
            and compared.begins_on <= messages.sent_date
            and not messages.is_control
    inner join sent on messages.campaign_id = sent.campaign_id
    group by compared.comparison, compared.customer_id, compared.is_treated

),

ranked as (

    select
        *,
        {{ year_of('begins_on') }} as begun_year,
        {{ days_between('last_order_date', 'begins_on') }} as recency,
        {{ days_between('first_order_date', 'begins_on') }} as tenure,
        floor(4 * percent_rank() over (partition by comparison order by past)) as value_band

    from bought

),

described as (

    select
        ranked.*,
        {% for months in horizons -%}
            spent.cost_{{ months }},
        {% endfor -%}
        case
            when ranked.comparison = 'held_out' then ranked.market
            else
                concat(
                    ranked.market,
                    '|', begun_year,
                    '|', case when recency <= 30 then 'r1' when recency <= 180 then 'r2' else 'r3' end,
                    '|', case when ranked.orders = 1 then 'f1' when ranked.orders <= 3 then 'f2' else 'f3' end,
                    '|', 'v', cast(least(ranked.value_band, 3) as integer),
                    '|', case when tenure <= 30 then 't1' when tenure <= 365 then 't2' when tenure <= 1095 then 't3' else 't4' end
                )
        end as stratum

    from ranked
    left join spent
        on
            ranked.comparison = spent.comparison
            and ranked.customer_id = spent.customer_id
            and ranked.is_treated = spent.is_treated

),

final as (

    {% for months in horizons -%}
        select
            described.comparison,
            {{ months }} as horizon_months,
            described.stratum,
            described.is_treated,
            count(*) as customers,
            sum(described.orders_{{ months }}) as orders,
            sum(described.orders_of_known_cost_{{ months }}) as orders_of_known_cost,
            sum(described.margin_{{ months }}) as margin_total,
            sum(described.margin_{{ months }} * described.margin_{{ months }}) as margin_squares,
            sum(coalesce(described.cost_{{ months }}, 0)) as cost_total

        from described
        cross join run
        where {{ add_months('described.begins_on', months) }} <= run.as_of_date
        group by described.comparison, described.stratum, described.is_treated
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor %}

)

select * from final
