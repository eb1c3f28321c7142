{#- CTEs up to `states`: int_customer_rfm_states, cut to the span of the months that a night recomputes. -#}
{% macro rfm_ranked_states() -%}
{% if touched_only() -%}
touched_span as (

    select
        min(snapshot_month) as first_month,
        max(snapshot_month) as last_month

    from control.touched_rfm_states_months

),

states as (

    select
        states.market,
        states.account_number,
        greatest(states.from_month, touched_span.first_month) as from_month,
        least(states.until_month, touched_span.last_month) as until_month,
        states.last_order_date,
        states.frequency,
        states.monetary

    from {{ ref('int_customer_rfm_states') }} as states
    inner join touched_span on states.from_month <= touched_span.last_month and states.until_month >= touched_span.first_month

)
{%- else -%}
states as (

    select * from {{ ref('int_customer_rfm_states') }}

)
{%- endif -%}
{%- endmacro %}


{#- CTEs, from `states` to `<measure>_bounds`: per month end (and market), the lowest value of a measure that earns each score from 2 to 5. -#}
{% macro rfm_bounds(measure, value) -%}
{%- set population = 'snapshot_month' ~ (', market' if var('rfm_by_market', false) == true) -%}
{%- if measure in var('rfm_cut_points', []) -%}
    {{ rfm_cut_point_bounds(measure) }}
{%- elif measure in var('rfm_split_ties', []) -%}
    {{ rfm_split_bounds(measure, value, population) }}
{%- elif measure == 'monetary' -%}
    {{ rfm_ranked_values(measure, value, population) }},

    {{ rfm_value_bounds(measure, population) }}
{%- else -%}
    {{ rfm_counted_values(measure, value, population) }},

    {{ rfm_value_bounds(measure, population) }}
{%- endif -%}
{%- endmacro %}


{#- Amounts are nearly as many as customers: customers are ranked. Sums so far over counted amounts took six times as long. -#}
{% macro rfm_ranked_values(measure, value, population) -%}
{{ measure }}_months as (

    select
        {{ 'market,' if var('rfm_by_market', false) == true }}
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        {{ value }} as measured_value

    from states

),

{{ measure }}_ranks as (

    select
        {{ population }},
        measured_value,
        count(*) over (partition by {{ population }}) as customers,
        rank() over (partition by {{ population }} order by measured_value) - 1 as customers_below

    from {{ measure }}_months

)
{%- endmacro %}


{#- Dates and counts are few: they are counted, not customers ranked. Spans of equal value first, then their months. -#}
{% macro rfm_counted_values(measure, value, population) -%}
{%- set span = 'from_month, until_month' ~ (', market' if var('rfm_by_market', false) == true) -%}
{{ measure }}_spans as (

    select
        {{ span }},
        {{ value }} as measured_value,
        count(*) as customers

    from states
    group by {{ span }}, {{ value }}

),

{{ measure }}_months as (

    select
        {{ 'market,' if var('rfm_by_market', false) == true }}
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        measured_value,
        customers

    from {{ measure }}_spans

),

{{ measure }}_values as (

    select
        {{ population }},
        measured_value,
        sum(customers) as customers

    from {{ measure }}_months
    group by {{ population }}, measured_value

),

{{ measure }}_ranks as (

    select
        {{ population }},
        measured_value,
        sum(customers) over (partition by {{ population }}) as customers,
        coalesce(
            sum(customers) over (
                partition by {{ population }}
                order by measured_value
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as customers_below

    from {{ measure }}_values

)
{%- endmacro %}


{#- The lowest value with enough customers below it, for each score. -#}
{% macro rfm_value_bounds(measure, population) -%}
{{ measure }}_bounds as (

    select
        {{ population }},
        {%- for score in range(2, 6) %}
        min(measured_value) filter (
            where customers_below > 0 and 5 * customers_below >= {{ score - 1 }} * (customers - 1)
        ) as {{ measure }}_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ measure }}_ranks
    group by {{ population }}

)
{%- endmacro %}


{#- Equal values parted by account number, as tools that rank "first" do: a bound is a value and the account number it begins with. -#}
{% macro rfm_split_bounds(measure, value, population) -%}
{{ measure }}_months as (

    select
        {{ 'market,' if var('rfm_by_market', false) == true }}
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        {{ value }} as measured_value,
        account_number

    from states

),

{{ measure }}_ranks as (

    select
        *,
        count(*) over (partition by {{ population }}) as customers,
        row_number() over (partition by {{ population }} order by measured_value, account_number) - 1 as customers_below

    from {{ measure }}_months

),

{{ measure }}_bounds as (

    select
        {{ population }},
        {%- for score in range(2, 6) %}
        {%- set earns = 'customers_below > 0 and 5 * customers_below >= ' ~ (score - 1) ~ ' * (customers - 1)' %}
        min_by(measured_value, customers_below) filter (where {{ earns }}) as {{ measure }}_{{ score }},
        min_by(account_number, customers_below) filter (where {{ earns }}) as {{ measure }}_{{ score }}_account
        {{- ',' if not loop.last }}
        {%- endfor %}

    from {{ measure }}_ranks
    group by {{ population }}

)
{%- endmacro %}


{#- The columns of a measure's bounds. -#}
{% macro rfm_bound_columns(measure) -%}
    {%- for score in range(2, 6) -%}
        {%- set bound = measure ~ '_bounds.' ~ measure ~ '_' ~ score -%}
        {{ bound }}{{ ', ' ~ bound ~ '_account' if measure in var('rfm_split_ties', []) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
