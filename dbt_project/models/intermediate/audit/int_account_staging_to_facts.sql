{#
    What staging holds against the facts, by the currency of the order or cost. Amounts are in the reporting currency: each staged
    amount is converted here once more, from staging alone. A row whose parent nobody delivered is left out of the facts, with its
    amounts as delivered, since its currency is not known.
#}
{%- set return_reason -%}
    case when lines.order_line_id is null then 'order_line_not_delivered' when not lines.has_order then 'order_not_delivered' end
{%- endset -%}
{%- set rows = ['rows'] -%}
{%- set lines = ['rows', 'quantity', 'gross_amount', 'discount_amount'] -%}
{%- set returns = ['rows', 'quantity', 'returned_amount'] -%}
{%- set costs = ['rows', 'cost_amount'] -%}

with

orders as (

    select
        orders.order_id,
        orders.currency,
        rates.fx_rate

    from {{ ref('stg_shop__orders') }} as orders
    left join {{ ref('int_exchange_rates_applied') }} as rates
        on
            orders.currency = rates.currency
            and orders.order_date = rates.applied_date

),

tax_basis as (

    select coalesce(max(prices_include_tax), false) as prices_include_tax
    from {{ source('control', 'source_tables') }}
    where table_name = 'order_lines'

),

lines as (

    select
        lines.*,
        orders.order_id is not null as has_order,
        orders.currency,
        orders.fx_rate,
        tax_basis.prices_include_tax,
        coalesce(cast(lines.line_amount as decimal(38, 7)), cast(lines.quantity as decimal(38, 3)) * lines.unit_price) as source_gross,
        coalesce(lines.discount_amount, 0) as source_discount

    from {{ ref('stg_shop__order_lines') }} as lines
    cross join tax_basis
    left join orders on lines.order_id = orders.order_id

),

line_sums as (

    select
        currency,
        case when not has_order then 'order_not_delivered' end as reason,
        count(*) as row_count,
        sum(quantity) as quantity,
    {%- for amount in ['gross', 'discount'] %}
        sum(case
            when not has_order then source_{{ amount }}
            when prices_include_tax then {{ convert_amount_without_tax('source_' ~ amount, 'fx_rate', 'tax_rate') }}
            else {{ convert_amount('source_' ~ amount, 'fx_rate') }}
            end) as {{ amount }}_amount{{ ',' if not loop.last }}
    {%- endfor %}

    from lines
    group by currency, has_order

),

return_sums as (

    select
        lines.currency,
        {{ return_reason }} as reason,
        count(*) as row_count,
        sum(returned.returned_quantity) as quantity,
        sum(case
            when not coalesce(lines.has_order, false) then returned.refund_amount
            when lines.prices_include_tax
                then {{ convert_amount_without_tax('returned.refund_amount', 'lines.fx_rate', 'lines.tax_rate') }}
            else {{ convert_amount('returned.refund_amount', 'lines.fx_rate') }}
        end) as returned_amount

    from {{ ref('stg_shop__returns') }} as returned
    left join lines on returned.order_line_id = lines.order_line_id
    group by lines.currency, {{ return_reason }}

),

fact_return_sums as (

    select
        orders.currency,
        count(*) as row_count,
        sum(returned.returned_quantity) as quantity,
        sum(returned.returned_amount) as returned_amount

    from {{ ref('fct_returns') }} as returned
    left join {{ ref('fct_orders') }} as orders on returned.order_id = orders.order_id
    group by orders.currency

),

cost_sums as (

    select
        costs.currency,
        count(*) as row_count,
        sum({{ convert_amount('costs.cost_amount', 'rates.fx_rate') }}) as cost_amount

    from {{ ref('stg_marketing__costs') }} as costs
    left join {{ ref('int_exchange_rates_applied') }} as rates
        on
            costs.currency = rates.currency
            and costs.cost_date = rates.applied_date
    group by costs.currency

),

{% for name, staged, key, parents, parent_key, reason in [
    ('reactions', ref('stg_marketing__reactions'), 'message_id', ref('stg_marketing__messages'), 'message_id', 'message_not_delivered'),
    ('consents', ref('stg_crm__consents'), 'customer_id', ref('int_customer_identity'), 'source_customer_id', 'customer_not_delivered'),
] -%}
    {{ name }} as (

        select
            cast(null as {{ dbt.type_string() }}) as currency,
            case when parents.{{ parent_key }} is null then '{{ reason }}' end as reason,
            count(*) as row_count

        from {{ staged }} as staged
        left join {{ parents }} as parents on staged.{{ key }} = parents.{{ parent_key }}
        group by parents.{{ parent_key }} is null

    ),

{% endfor -%}

{# conversions that are read from orders were never delivered as reactions -#}
{% for name, model, currency, sums, condition in [
    ('order_sums', ref('stg_shop__orders'), 'currency', [], none),
    ('fact_order_sums', ref('fct_orders'), 'currency', [], none),
    ('fact_line_sums', ref('fct_order_lines'), 'currency', ['quantity', 'gross_amount', 'discount_amount'], none),
    ('fact_cost_sums', ref('fct_campaign_costs'), 'currency', ['cost_amount'], none),
    ('messages', ref('stg_marketing__messages'), none, [], none),
    ('fact_messages', ref('fct_campaign_messages'), none, [], none),
    ('fact_reactions', ref('fct_campaign_reactions'), none, [], "evidence = 'reported'"),
    ('events', ref('stg_web__events'), none, [], none),
] -%}
    {{ name }} as (

        select
            {{ currency or 'cast(null as ' ~ dbt.type_string() ~ ')' }} as currency,
            {%- for measure in sums %}
                sum({{ measure }}) as {{ measure }},
            {%- endfor %}
            count(*) as row_count

        from {{ model }}
        {%- if condition %}
            where {{ condition }}
        {%- endif %}
        {%- if currency %}
            group by {{ currency }}
        {%- endif %}

    ),

{% endfor -%}

fact_events as (

    select
        cast(null as {{ dbt.type_string() }}) as currency,
        sum(events) as row_count

    from {{ ref('fct_web_sessions') }}

),

final as (

    {% set sides = [
        ('orders', 'order_sums', 'left', rows),
        ('orders', 'fact_order_sums', 'right', rows),
        ('order_lines', 'line_sums', 'left', lines),
        ('order_lines', 'line_sums', 'excluded', lines),
        ('order_lines', 'fact_line_sums', 'right', lines),
        ('returns', 'return_sums', 'left', returns),
        ('returns', 'return_sums', 'excluded', returns),
        ('returns', 'fact_return_sums', 'right', returns),
        ('campaign_costs', 'cost_sums', 'left', costs),
        ('campaign_costs', 'fact_cost_sums', 'right', costs),
        ('campaign_messages', 'messages', 'left', rows),
        ('campaign_messages', 'fact_messages', 'right', rows),
        ('campaign_reactions', 'reactions', 'left', rows),
        ('campaign_reactions', 'reactions', 'excluded', rows),
        ('campaign_reactions', 'fact_reactions', 'right', rows),
        ('web_events', 'events', 'left', rows),
        ('web_events', 'fact_events', 'right', rows),
        ('consents', 'consents', 'excluded', rows),
    ] -%}
    {%- for table, relation, side, measures in sides -%}
        {{ account_lines(relation, 'staging_to_facts', table, side, measures) }}
        {%- if not loop.last %}
            union all

        {% endif -%}
    {%- endfor %}
)

select * from final
