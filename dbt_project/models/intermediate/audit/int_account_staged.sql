{#- Rows and sums of each staging table by the day that delivered them, under the names that the contracts give the columns. -#}
{%- set measured = [
    ('campaign_costs', 'stg_marketing__costs', 'currency', {'rows': 'count(*)', 'cost_amount': 'sum(cost_amount)'}),
    ('campaign_messages', 'stg_marketing__messages', none, {'rows': 'count(*)'}),
    ('campaign_reactions', 'stg_marketing__reactions', none, {'rows': 'count(*)'}),
    ('campaigns', 'stg_marketing__campaigns', none, {'rows': 'count(*)'}),
    ('channels', 'stg_erp__channels', none, {'rows': 'count(*)'}),
    ('consents', 'stg_crm__consents', none, {'rows': 'count(*)'}),
    ('customers', 'stg_crm__customers', none, {'rows': 'count(*)'}),
    ('exchange_rates', 'stg_finance__exchange_rates', 'currency', {'rows': 'count(*)', 'rate': 'sum(rate)'}),
    (
        'order_lines', 'stg_shop__order_lines', none, {
            'rows': 'count(*)',
            'quantity': 'sum(quantity)',
            'unit_price': 'sum(unit_price)',
            'gross_amount': 'sum(line_amount)',
            'discount_amount': 'sum(discount_amount)',
        },
    ),
    ('orders', 'stg_shop__orders', 'currency', {'rows': 'count(*)'}),
    ('products', 'stg_erp__products', none, {'rows': 'count(*)', 'unit_cost': 'sum(unit_cost)'}),
    (
        'returns', 'stg_shop__returns', none, {
            'rows': 'count(*)',
            'quantity': 'sum(returned_quantity)',
            'amount': 'sum(refund_amount)',
        },
    ),
    ('web_events', 'stg_web__events', none, {'rows': 'count(*)'}),
] -%}

with

final as (

    {% for table, model, currency, measures in measured -%}
        {%- set last_table = loop.last -%}
        {%- for measure, total in measures.items() -%}
            select
                '{{ table }}' as table_name,
                delivery_date,
                {{ currency or 'cast(null as ' ~ dbt.type_string() ~ ')' }} as currency,
                '{{ measure }}' as measure,
                cast(coalesce({{ total }}, 0) as decimal(38, 8)) as amount

            from {{ ref(model) }}
            group by delivery_date{{ ', currency' if currency }}

            {% if not (last_table and loop.last) -%}
                union all

            {% endif -%}
        {%- endfor -%}
    {%- endfor %}

)

select * from final
