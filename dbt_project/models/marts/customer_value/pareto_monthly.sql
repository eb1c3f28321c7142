{#
    Measured, not assumed. A customer's place in its month and cut is enough: equal customers may swap places, no figure changes by it. Shares
    are found in whole cents.
#}
{{ config(
    materialized='incremental',
    meta={'of_closed_months': true, 'touched_by': [{'table': 'control.touched_value_states_months', 'columns': ['snapshot_date']}]}
) }}

with

states as (

    select * from {{ ref('int_customer_value_states') }}

),

cuts as (

    select
        channel_id,
        cast(row_number() over (order by channel_id) as integer) as cut

    from states
    group by channel_id

),

active_states as (

    select
        cuts.cut,
        states.from_month,
        states.until_month,
        cast(states.net_12m * 100 as bigint) as cents,
        cast(states.previous_net_12m * 100 as bigint) as previous_cents

    from states
    inner join cuts on coalesce(states.channel_id, '') = coalesce(cuts.channel_id, '')
    where states.is_active_12m

),

all_months as (

    select
        cut,
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        cents

    from active_states

),

{% if touched_only() -%}
    -- with those that they are compared with
    months as (

        select snapshot_month from {{ touched_relation('control.touched_value_states_months') }}
        union
        select snapshot_month - 12 as snapshot_month from {{ touched_relation('control.touched_value_states_months') }}

    ),

{% endif -%}
state_months as (

    select all_months.* from all_months
    {{ semi_join_touched('months', 'all_months', ['snapshot_month']) }}

),

ranked as (

    select
        cut,
        snapshot_month,
        cents,
        row_number() over from_the_top as place,
        rank() over from_the_top as first_equal_place

    from state_months
    window from_the_top as (partition by cut, snapshot_month order by cents desc)

),

-- the best 1, 5, 10 and 20 %, a fraction of a customer counted whole
totals as (

    select
        cut,
        snapshot_month,
        count(*) as customers,
        {%- for share in [1, 5, 10, 20] %}
            cast(ceil({{ share }} * count(*) / 100.0) as bigint) as top_{{ share }},
        {%- endfor %}
        sum(cents) as cents

    from ranked
    group by cut, snapshot_month

),

{{ pareto_places() }},

concentration as (

    select
        totals.cut,
        totals.snapshot_month,
        totals.customers,
        totals.cents,
        {%- for share in [1, 5, 10, 20] %}
            sum(ranked.cents) filter (where ranked.place <= totals.top_{{ share }}) as top_{{ share }}_cents,
        {%- endfor %}
        sum(ranked.place * ranked.cents) as ranked_cents,
        -- who is worth nothing is not among the best
        min(ranked.cents) filter (where ranked.first_equal_place <= totals.top_20 and ranked.cents > 0) as top_20pct_from_cents,
        max(ranked.place) filter (where ranked.first_equal_place <= totals.top_20 and ranked.cents > 0) as top_20pct_customers

    from ranked
    inner join totals on ranked.cut = totals.cut and ranked.snapshot_month = totals.snapshot_month
    group by totals.cut, totals.snapshot_month, totals.customers, totals.cents

),

-- no customer below the lowest bound of any month is among the best of one
lowest_bounds as (

    select
        cut,
        min(top_20pct_from_cents) as cents

    from concentration
    group by cut

),

stayer_months as (

    select
        active_states.cut,
        {{ integer_series('active_states.from_month', 'active_states.until_month') }} as snapshot_month,
        active_states.cents,
        active_states.previous_cents

    from active_states
    inner join lowest_bounds
        on
            active_states.cut = lowest_bounds.cut
            and active_states.cents >= lowest_bounds.cents
            and active_states.previous_cents >= lowest_bounds.cents

),

stayers as (

    select
        stayer_months.cut,
        stayer_months.snapshot_month,
        count(*) as customers

    from stayer_months
    inner join concentration as current_bounds
        on
            stayer_months.cut = current_bounds.cut
            and stayer_months.snapshot_month = current_bounds.snapshot_month
            and stayer_months.cents >= current_bounds.top_20pct_from_cents
    inner join concentration as earlier_bounds
        on
            stayer_months.cut = earlier_bounds.cut
            and stayer_months.snapshot_month = earlier_bounds.snapshot_month + 12
            and stayer_months.previous_cents >= earlier_bounds.top_20pct_from_cents
    group by stayer_months.cut, stayer_months.snapshot_month

),

final as (

    select
        cast(last_day({{ month_of_index('concentration.snapshot_month') }}) as date) as snapshot_date,
        cuts.channel_id,
        cast(concentration.customers as bigint) as customers,
        cast(cast(concentration.cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2)) as net_amount,
        cast(places_of_80pct.customers as bigint) as customers_for_80pct,
        places_of_80pct.customers / concentration.customers as share_of_customers_for_80pct,
        {%- for share in [1, 5, 10, 20] %}
            case
                when concentration.cents > 0
                    then cast(concentration.top_{{ share }}_cents as double) / concentration.cents
            end
                as share_top_{{ share }}pct,
        {%- endfor %}
        case
            when concentration.cents > 0
                then
                    cast(2 * (concentration.customers + 1) * concentration.cents - 2 * concentration.ranked_cents as double)
                    / (cast(concentration.customers as double) * concentration.cents)
                    - (concentration.customers + 1.0) / concentration.customers
        end as gini,
        cast(earlier.top_20pct_customers as bigint) as previous_top_20pct_customers,
        case when earlier.top_20pct_customers is not null then cast(coalesce(stayers.customers, 0) as bigint) end
            as retained_top_20pct_customers,
        cast(coalesce(stayers.customers, 0) as double) / earlier.top_20pct_customers as top_20pct_retained_share

    from concentration
    inner join cuts on concentration.cut = cuts.cut
    left join places_of_80pct
        on concentration.cut = places_of_80pct.cut and concentration.snapshot_month = places_of_80pct.snapshot_month
    left join concentration as earlier
        on concentration.cut = earlier.cut and concentration.snapshot_month = earlier.snapshot_month + 12
    left join stayers
        on concentration.cut = stayers.cut and concentration.snapshot_month = stayers.snapshot_month
    {{ semi_join_touched('control.touched_value_states_months', 'concentration', ['snapshot_month']) }}

)

select * from final
