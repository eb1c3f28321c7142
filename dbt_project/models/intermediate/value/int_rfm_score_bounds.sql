{#
    The lowest value that earns each score, per snapshot: score = 1 + floor(5 * percent_rank), at most 5, and
    percent_rank = customers with a lower value / (customers - 1). The score depends on the value alone, so four bounds
    replace a sort of the whole population, and equal values cannot part. All in whole numbers: nothing is rounded.
    Recency is ranked by the date of the last kept order, which orders a snapshot's customers exactly as -recency_days.
#}
{%- set measures = {'recency': 'last_order_date', 'frequency': 'frequency', 'monetary': 'monetary'} -%}

with

states as (

    select * from {{ ref('int_customer_rfm_states') }}

),

{% for measure, value in measures.items() %}

{{ measure }}_spans as (

    select
        from_month,
        until_month,
        {{ value }} as measured_value,
        count(*) as customers

    from states
    group by from_month, until_month, {{ value }}

),

{{ measure }}_months as (

    select
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        measured_value,
        customers

    from {{ measure }}_spans

),

{{ measure }}_values as (

    select
        snapshot_month,
        measured_value,
        sum(customers) as customers

    from {{ measure }}_months
    group by snapshot_month, measured_value

),

{{ measure }}_ranks as (

    select
        snapshot_month,
        measured_value,
        sum(customers) over (partition by snapshot_month) as customers,
        coalesce(
            sum(customers) over (
                partition by snapshot_month
                order by measured_value
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as customers_below

    from {{ measure }}_values

),

{{ measure }}_bounds as (

    select
        snapshot_month,
        max(customers) as customers,
        {%- for score in range(2, 6) %}
            min(measured_value) filter (
                where customers_below > 0 and 5 * customers_below >= {{ score - 1 }} * (customers - 1)
            ) as {{ measure }}_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ measure }}_ranks
    group by snapshot_month

),

{% endfor %}

final as (

    select
        recency_bounds.snapshot_month,
        cast(last_day({{ month_of_index('recency_bounds.snapshot_month') }}) as date) as snapshot_date,
        cast(recency_bounds.customers as bigint) as customers,
        {%- for measure in measures %}
            {%- set outer = loop %}
            {%- for score in range(2, 6) %}
                {{ measure }}_bounds.{{ measure }}_{{ score }}{{ ',' if not (outer.last and loop.last) }}
            {%- endfor %}
        {%- endfor %}

    from recency_bounds
    inner join frequency_bounds on recency_bounds.snapshot_month = frequency_bounds.snapshot_month
    inner join monetary_bounds on recency_bounds.snapshot_month = monetary_bounds.snapshot_month

)

select * from final
