{#- Refuses a setting of RFM that names nothing. -#}
{% macro check_rfm_settings() -%}
    {%- for setting in ['rfm_cut_points', 'rfm_split_ties'] -%}
        {%- for measure in var(setting, []) if measure not in ['recency', 'frequency', 'monetary'] -%}
            {{ exceptions.raise_compiler_error(setting ~ ': ' ~ measure ~ ' is none of recency, frequency, monetary') }}
        {%- endfor -%}
    {%- endfor -%}
    {%- for setting, known in {'rfm_by_market': [true, false], 'rfm_segments_from': ['grid', 'rules']}.items() -%}
        {%- if var(setting, known | last) not in known -%}
            {{ exceptions.raise_compiler_error(setting ~ ': ' ~ var(setting) ~ ' is none of ' ~ known | join(', ')) }}
        {%- endif -%}
    {%- endfor -%}
    {%- for measure in var('rfm_split_ties', []) if measure in var('rfm_cut_points', []) -%}
        {{ exceptions.raise_compiler_error(measure ~ ' is scored by cut points (rfm_cut_points): it has no ties to split (rfm_split_ties)') }}
    {%- endfor -%}
{%- endmacro %}


{#- CTEs from `customer_states` to `final`: the states, with what the options need. By market, a span ends where the customer's country
    changes, so that each month end has the market of that day. Where ties are split, the customer's lowest account number decides. -#}
{% macro rfm_states_as_scored() -%}
{%- set by_market = var('rfm_by_market', false) == true -%}
{%- set splits_ties = var('rfm_split_ties', []) | length > 0 -%}
{% if by_market -%}
customer_markets as (

    select
        customer_id,
        coalesce(country, '') as market,
        {{ month_index('valid_from') }} as market_from_month,
        {{ month_index('valid_to') }} - 1 as market_until_month

    from {{ ref('dim_customer') }}
    where {{ month_index('valid_from') }} < {{ month_index('valid_to') }}

),

market_states as (

    select
        states.customer_id,
        greatest(states.from_month, customer_markets.market_from_month) as from_month,
        least(states.until_month, customer_markets.market_until_month) as until_month,
        states.frequency,
        states.monetary,
        states.last_order_date,
        {%- for measure in ['frequency', 'monetary', 'last_order_date'] %}
        case
            when states.from_month < customer_markets.market_from_month then states.{{ measure }}
            else states.previous_{{ measure }}
        end as previous_{{ measure }},
        {%- endfor %}
        customer_markets.market,
        lag(customer_markets.market) over (
            partition by states.customer_id order by states.from_month, customer_markets.market_from_month
        ) as previous_market

    from customer_states as states
    inner join customer_markets
        on
            states.customer_id = customer_markets.customer_id
            and states.from_month <= customer_markets.market_until_month
            and states.until_month >= customer_markets.market_from_month

),

{% endif -%}
{% if splits_ties -%}
account_numbers as (

    select
        customer_id,
        min(source_customer_id) as account_number

    from {{ ref('int_customer_identity') }}
    group by customer_id

),

{% endif -%}
final as (

    select
        states.*,
        {%- if not by_market %}
        '' as market,
        '' as previous_market,
        {%- endif %}
        {{ 'coalesce(account_numbers.account_number, states.customer_id)' if splits_ties else "''" }} as account_number

    from {{ 'market_states' if by_market else 'customer_states' }} as states
    {%- if splits_ties %}
    left join account_numbers on states.customer_id = account_numbers.customer_id
    {%- endif %}

)
{%- endmacro %}


{#- Whether two relations are of the same month end, and market where customers are scored by market. -#}
{% macro rfm_same_population(months, other_months, market='market', months_later=0) -%}
    {{ months }}.snapshot_month = {{ other_months }}.snapshot_month{{ ' + ' ~ months_later if months_later }}
    {%- if var('rfm_by_market', false) == true %} and {{ months }}.{{ market }} = {{ other_months }}.market{% endif %}
{%- endmacro %}


{#- CTEs up to `segment_cells`: the segment of each cell, of R and F by the grid or of R, F and M by the rules. -#}
{% macro rfm_segment_cells() -%}
{% if var('rfm_segments_from', 'grid') == 'rules' -%}
scores as (

    select {{ unnest_integers([1, 2, 3, 4, 5]) }} as score

),

-- the first rule that holds for a cell names it
segment_cells as (

    select
        recency.score as r_score,
        frequency.score as f_score,
        monetary.score as m_score,
        min_by(rules.segment, rules.priority) as segment

    from scores as recency
    cross join scores as frequency
    cross join scores as monetary
    inner join {{ ref('rfm_segment_rules') }} as rules
        on
            recency.score between rules.r_from and rules.r_to
            and frequency.score between rules.f_from and rules.f_to
            and monetary.score between rules.m_from and rules.m_to
    group by recency.score, frequency.score, monetary.score

)
{%- else -%}
segment_cells as (

    select * from {{ ref('rfm_segment_grid') }}

)
{%- endif %}
{%- endmacro %}


{#- Whether a customer's scores (`prefix` previous_: of the month before) are those of a cell. -#}
{% macro rfm_is_in_cell(cells, prefix='') -%}
    scored.{{ prefix }}r_score = {{ cells }}.r_score and scored.{{ prefix }}f_score = {{ cells }}.f_score
    {%- if var('rfm_segments_from', 'grid') == 'rules' %} and scored.{{ prefix }}m_score = {{ cells }}.m_score{% endif %}
{%- endmacro %}
