{#
    What a customer's recency, frequency and monetary value are made of changes only in months in which something
    happens: an order comes in, a return, a cancellation, an order leaves the observation window. One row per such month,
    valid up to the month before the next one, is enough to read any month end, and is far smaller than customers x months.
    Every change is dated by its own day, never by its delivery: a snapshot does not know what happened after it.
#}
{%- set remembered -%}
    'rfm_states', this, {
        'customer_id': dbt.type_string(), 'from_month': 'integer', 'until_month': 'integer', 'frequency': 'integer',
        'monetary': 'decimal(18, 2)', 'last_order_date': 'date', 'previous_frequency': 'integer', 'previous_monetary': 'decimal(18, 2)',
        'previous_last_order_date': 'date', 'market': dbt.type_string(), 'previous_market': dbt.type_string(),
        'account_number': dbt.type_string()
    }, 'int_touched_buyers', ['customer_id']
{%- endset -%}
{{ config(
    materialized='incremental',
    pre_hook="{{ remember_last(" ~ remembered ~ ") }}",
    post_hook="{{ remember_touched_months(" ~ remembered ~ ", later=1) }}",
    meta={'of_closed_months': true, 'touched_by': [{'table': 'intermediate.int_touched_buyers', 'columns': ['customer_id']}]}
) }}
{%- set window_months = var('rfm_window_months', 24) | int -%}
{%- set never = 999999 -%}

with

orders as (

    select orders.* from {{ ref('fct_orders') }} as orders
    {{ semi_join_touched('int_touched_buyers', 'orders', ['customer_id']) }}

),

returns as (

    select * from {{ ref('fct_returns') }}

),

undone_orders as (

    select * from {{ ref('int_undone_orders') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

{{ last_month() }},

dated_orders as (

    select
        orders.order_id,
        orders.customer_id,
        orders.order_date,
        orders.net_amount + orders.returned_amount as amount,
        {{ month_index('orders.order_date') }} as order_month,
        case
            when orders.is_kept then {{ never }}
            else {{ month_index('undone_orders.undone_date') }}
        end as undone_month

    from orders
    left join undone_orders on orders.order_id = undone_orders.order_id
    where
        orders.customer_id is not null
        and (orders.is_kept or undone_orders.undone_date is not null)

),

-- an order undone before its month was over is in no snapshot
counted_orders as (

    select
        *,
        {% if window_months > 0 -%}
            least(undone_month, order_month + {{ window_months }}) as exit_month
        {%- else -%}
            undone_month as exit_month
        {%- endif %}

    from dated_orders
    where undone_month > order_month

),

counted_returns as (

    select
        counted_orders.customer_id,
        counted_orders.exit_month,
        returns.returned_amount,
        greatest({{ month_index('returns.return_date') }}, counted_orders.order_month) as return_month

    from returns
    inner join counted_orders on returns.order_id = counted_orders.order_id

),

{{ rfm_changes(never) }},

-- narrow again before the running sums: these are twice as fast on a decimal(18, 2) as on the wide type of a sum
monthly_changes as (

    select
        changes.customer_id,
        changes.month_index,
        cast(sum(changes.known_orders) as integer) as known_orders,
        cast(sum(changes.frequency) as integer) as frequency,
        cast(sum(changes.monetary) as decimal(18, 2)) as monetary,
        max(changes.lasting_order_date) as lasting_order_date

    from changes
    inner join last_month on changes.month_index <= last_month.month_index
    group by changes.customer_id, changes.month_index

),

-- an order undone in a later month is a customer's last order for some months only: few, so looked up apart
passing_orders as (

    select
        monthly_changes.customer_id,
        monthly_changes.month_index,
        max(counted_orders.order_date) as passing_order_date

    from counted_orders
    inner join monthly_changes
        on
            counted_orders.customer_id = monthly_changes.customer_id
            and counted_orders.order_month <= monthly_changes.month_index
            and counted_orders.undone_month > monthly_changes.month_index
    where counted_orders.undone_month < {{ never }}
    group by monthly_changes.customer_id, monthly_changes.month_index

),

dated_changes as (

    select
        monthly_changes.*,
        passing_orders.passing_order_date

    from monthly_changes
    left join passing_orders
        on
            monthly_changes.customer_id = passing_orders.customer_id
            and monthly_changes.month_index = passing_orders.month_index

),

states as (

    select
        customer_id,
        month_index as from_month,
        lead(month_index) over by_month - 1 as until_month,
        sum(known_orders) over to_date as known_orders,
        sum(frequency) over to_date as frequency,
        sum(monetary) over to_date as monetary,
        greatest(max(lasting_order_date) over to_date, passing_order_date) as last_order_date,
        sum(known_orders) over to_date - known_orders as previous_known_orders,
        sum(frequency) over to_date - frequency as previous_frequency,
        sum(monetary) over to_date - monetary as previous_monetary,
        greatest(
            max(lasting_order_date) over before,
            lag(passing_order_date) over by_month
        ) as previous_last_order_date

    from dated_changes
    window
        by_month as (partition by customer_id order by month_index),
        to_date as (
            partition by customer_id order by month_index
            rows between unbounded preceding and current row
        ),
        before as (
            partition by customer_id order by month_index
            rows between unbounded preceding and 1 preceding
        )

),

-- known_orders = 0: all the customer's orders so far were undone, the customer is in no snapshot
customer_states as (

    select
        states.customer_id,
        states.from_month,
        coalesce(states.until_month, last_month.month_index) as until_month,
        cast(states.frequency as integer) as frequency,
        cast(states.monetary as decimal(18, 2)) as monetary,
        states.last_order_date,
        case
            when states.previous_known_orders > 0 then cast(states.previous_frequency as integer)
        end as previous_frequency,
        case when states.previous_known_orders > 0 then cast(states.previous_monetary as decimal(18, 2)) end as previous_monetary,
        case when states.previous_known_orders > 0 then states.previous_last_order_date end as previous_last_order_date

    from states
    cross join last_month
    where states.known_orders > 0

),

{{ rfm_states_as_scored() }}

select * from final
