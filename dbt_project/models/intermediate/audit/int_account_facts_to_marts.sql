{#
    The facts among themselves by currency of the order, and against each mart that sums them. All orders are on the left, so that
    tests, cancelled orders and what else a mart leaves out are named numbers. Amounts are in the reporting currency.
#}
{%- set line_measures = [
    'quantity', 'returned_quantity', 'gross_amount', 'discount_amount', 'tax_amount', 'returned_amount', 'net_amount',
    'cost_amount', 'margin_amount',
] -%}
{%- set return_measures = ['returned_quantity', 'returned_amount'] -%}
{%- set sales = {'orders': 'orders', 'net_amount': 'net_amount', 'margin_amount': 'margin_amount'} -%}
{%- set values = {
    'orders': 'orders', 'gross_amount': 'lifetime_gross', 'net_amount': 'lifetime_net', 'margin_amount': 'lifetime_margin',
} -%}
{%- set starters = 'case when months_since = 0 then customers else 0 end' -%}
{%- set marts = [
    ('kpi_monthly', 'kpi_monthly', 'channel_id is null', dict(sales, customers='new_customers', sessions='sessions'), false),
    ('kpi_monthly by channel', 'kpi_monthly', 'channel_id is not null', sales, false),
    ('kpi_half_yearly', 'kpi_half_yearly', 'channel_id is null', dict(sales, customers='new_customers'), false),
    ('customer_value', 'customer_value', 'true', dict(values, customers='1'), true),
    ('cohort_monthly', 'cohort_monthly', 'channel_id is null', dict(sales, customers=starters), true),
    ('cohort_monthly by channel', 'cohort_monthly', 'channel_id is not null', dict(sales, customers=starters), true),
] -%}

with

run as (

    select reporting_currency from {{ source('control', 'run_parameters') }}

),

{% for name, model in [('line_sums', 'fct_order_lines'), ('order_line_sums', 'fct_orders')] -%}
    {{ name }} as (

        select
            currency,
        {%- for measure in line_measures %}
            sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

        from {{ ref(model) }}
        group by currency

    ),

{% endfor -%}

return_sums as (

    select
        orders.currency,
        sum(returned.returned_quantity) as returned_quantity,
        sum(returned.returned_amount) as returned_amount

    from {{ ref('fct_returns') }} as returned
    left join {{ ref('fct_orders') }} as orders on returned.order_id = orders.order_id
    group by orders.currency

),

orders as (

    select
        *,
        case
            when is_test then 'test'
            when is_cancelled then 'cancelled'
            when line_count = 0 then 'without_lines'
            when not is_kept then 'fully_returned'
        end as reason

    from {{ ref('fct_orders') }}

),

order_sums as (

    select
        run.reporting_currency as currency,
        orders.reason,
        orders.customer_id is not null as has_customer,
        count(*) as orders,
        sum(orders.gross_amount) as gross_amount,
        sum(orders.net_amount) as net_amount,
        sum(orders.margin_amount) as margin_amount

    from orders
    cross join run
    group by run.reporting_currency, orders.reason, orders.customer_id is not null

),

customer_order_sums as (

    select
        currency,
        coalesce(reason, case when not has_customer then 'without_customer' end) as reason,
        orders,
        gross_amount,
        net_amount,
        margin_amount

    from order_sums

),

customer_sums as (

    select
        run.reporting_currency as currency,
        count(distinct orders.customer_id) as customers

    from orders
    cross join run
    where orders.reason is null
    group by run.reporting_currency

),

session_sums as (

    select
        run.reporting_currency as currency,
        count(*) as sessions

    from {{ ref('fct_web_sessions') }}
    cross join run
    where not is_bot
    group by run.reporting_currency

),

rfm_sums as (

    select
        run.reporting_currency as currency,
        max(rfm.snapshot_date) as snapshot_date,
        count(*) as customers

    from {{ ref('customer_rfm') }} as rfm
    cross join run
    group by run.reporting_currency

),

-- what was undone after the snapshot was a kept order then
snapshot_sums as (

    select
        rfm_sums.currency,
        count(distinct orders.customer_id) as customers

    from orders
    inner join rfm_sums on orders.order_date <= rfm_sums.snapshot_date
    left join {{ ref('int_undone_orders') }} as undone on orders.order_id = undone.order_id
    where orders.is_kept or undone.undone_date > rfm_sums.snapshot_date
    group by rfm_sums.currency

),

{% for name, mart, cut, sums, of_customers in marts -%}
    {{ name | replace(' ', '_') }}_sums as (

        select
            run.reporting_currency as currency,
        {%- for measure, amount in sums.items() %}
            sum({{ amount }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

        from {{ ref(mart) }}
        cross join run
        where {{ cut }}
        group by run.reporting_currency

    ),

{% endfor -%}

final as (

    {{ account_lines('line_sums', 'lines_to_orders', 'order_lines', 'left', line_measures) }}
    union all

    {{ account_lines('order_line_sums', 'lines_to_orders', 'order_lines', 'right', line_measures) }}
    union all

    {{ account_lines('return_sums', 'lines_to_orders', 'returns', 'left', return_measures) }}
    union all

    {{ account_lines('line_sums', 'lines_to_orders', 'returns', 'right', return_measures) }}
    {%- for name, mart, cut, sums, of_customers in marts %}
        {%- set measures = ['orders', 'net_amount', 'margin_amount'] + (['gross_amount'] if 'gross_amount' in sums else []) %}
        {%- for side in ['left', 'excluded'] %}
            union all

            {{ account_lines('customer_order_sums' if of_customers else 'order_sums', 'facts_to_marts', name, side, measures) }}
        {%- endfor %}
        {%- for measure in ['customers', 'sessions'] if measure in sums %}
            union all

            {{ account_lines(measure[:-1] ~ '_sums', 'facts_to_marts', name, 'left', [measure]) }}
        {%- endfor %}
        union all

        {{ account_lines(name | replace(' ', '_') ~ '_sums', 'facts_to_marts', name, 'right', sums.keys() | list) }}
    {%- endfor %}
    union all

    {{ account_lines('snapshot_sums', 'facts_to_marts', 'customer_rfm', 'left', ['customers']) }}
    union all

    {{ account_lines('rfm_sums', 'facts_to_marts', 'customer_rfm', 'right', ['customers']) }}

)

select * from final
