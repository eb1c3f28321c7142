{#
    Measured, not assumed: values of customers are counted, and every figure is a function of the counts, so that equal customers are treated equally
    and nothing is sorted twice. Shares are found in whole cents.
#}
with

states as (

    select * from {{ ref('int_customer_value_states') }}

),

state_months as (

    select
        channel_id,
        {{ integer_series('from_month', 'until_month') }} as snapshot_month,
        cast(net_12m * 100 as bigint) as cents

    from states
    where is_active_12m

),

customer_values as (

    select
        channel_id,
        snapshot_month,
        cents,
        count(*) as customers

    from state_months
    group by channel_id, snapshot_month, cents

),

totals as (

    select
        channel_id,
        snapshot_month,
        sum(customers) as customers,
        sum(customers * cents) as cents

    from customer_values
    group by channel_id, snapshot_month

),

ranked as (

    select
        *,
        sum(customers) over from_the_top - customers as customers_above,
        sum(customers * cents) over from_the_top - customers * cents as cents_above

    from customer_values
    window
        from_the_top as (
            partition by channel_id, snapshot_month order by cents desc
            rows between unbounded preceding and current row
        )

),

-- how many of the customers with this value are among the best 1, 5, 10 and 20 %, a fraction of a customer counted whole
counted as (

    select
        ranked.*,
        totals.customers as all_customers,
        totals.cents as all_cents,
        {%- for share in [1, 5, 10, 20] %}
            cast(
                least(greatest(ceil({{ share }} * totals.customers / 100.0) - ranked.customers_above, 0), ranked.customers) as bigint
            ) as top_{{ share }},
        {%- endfor %}
        totals.customers - ranked.customers_above - ranked.customers as customers_below,
        case
            when ranked.cents > 0 and 5 * (ranked.cents_above + ranked.customers * ranked.cents) >= 4 * totals.cents
                then
                    ranked.customers_above
                    + greatest(ceil(cast(4 * totals.cents - 5 * ranked.cents_above as double) / cast(5 * ranked.cents as double)), 1)
        end as customers_for_80pct

    from ranked
    inner join totals
        on
            ranked.snapshot_month = totals.snapshot_month
            and coalesce(ranked.channel_id, '') = coalesce(totals.channel_id, '')

),

concentration as (

    select
        channel_id,
        snapshot_month,
        max(all_customers) as customers,
        max(all_cents) as cents,
        min(customers_for_80pct) as customers_for_80pct,
        {%- for share in [1, 5, 10, 20] %}
            sum(top_{{ share }} * cents) as top_{{ share }}_cents,
        {%- endfor %}
        -- twice each customer's rank from the bottom times its value; equal customers share a mean rank
        sum((2 * customers_below + customers + 1) * customers * cents) as twice_ranked_cents,
        -- who is worth nothing is not among the best
        min(case when top_20 > 0 and cents > 0 then cents end) as top_20pct_from_cents,
        max(case when top_20 > 0 and cents > 0 then customers_above + customers end) as top_20pct_customers

    from counted
    group by channel_id, snapshot_month

),

-- no customer below the lowest bound of any month is among the best of one
lowest_bounds as (

    select
        channel_id,
        min(top_20pct_from_cents) as cents

    from concentration
    group by channel_id

),

stayer_months as (

    select
        states.channel_id,
        {{ integer_series('states.from_month', 'states.until_month') }} as snapshot_month,
        cast(states.net_12m * 100 as bigint) as cents,
        cast(states.previous_net_12m * 100 as bigint) as previous_cents

    from states
    inner join lowest_bounds on coalesce(states.channel_id, '') = coalesce(lowest_bounds.channel_id, '')
    where
        states.is_active_12m
        and states.net_12m * 100 >= lowest_bounds.cents
        and states.previous_net_12m * 100 >= lowest_bounds.cents

),

stayers as (

    select
        stayer_months.channel_id,
        stayer_months.snapshot_month,
        count(*) as customers

    from stayer_months
    inner join concentration as current_bounds
        on
            coalesce(stayer_months.channel_id, '') = coalesce(current_bounds.channel_id, '')
            and stayer_months.snapshot_month = current_bounds.snapshot_month
            and stayer_months.cents >= current_bounds.top_20pct_from_cents
    inner join concentration as earlier_bounds
        on
            coalesce(stayer_months.channel_id, '') = coalesce(earlier_bounds.channel_id, '')
            and stayer_months.snapshot_month = earlier_bounds.snapshot_month + 12
            and stayer_months.previous_cents >= earlier_bounds.top_20pct_from_cents
    group by stayer_months.channel_id, stayer_months.snapshot_month

),

final as (

    select
        cast(last_day({{ month_of_index('concentration.snapshot_month') }}) as date) as snapshot_date,
        concentration.channel_id,
        cast(concentration.customers as bigint) as customers,
        cast(cast(concentration.cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2)) as net_amount,
        cast(concentration.customers_for_80pct as bigint) as customers_for_80pct,
        concentration.customers_for_80pct / concentration.customers as share_of_customers_for_80pct,
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
                    cast(concentration.twice_ranked_cents as double) / (cast(concentration.customers as double) * concentration.cents)
                    - (concentration.customers + 1.0) / concentration.customers
        end as gini,
        cast(earlier.top_20pct_customers as bigint) as previous_top_20pct_customers,
        case when earlier.top_20pct_customers is not null then cast(coalesce(stayers.customers, 0) as bigint) end
            as retained_top_20pct_customers,
        cast(coalesce(stayers.customers, 0) as double) / earlier.top_20pct_customers as top_20pct_retained_share

    from concentration
    left join concentration as earlier
        on
            coalesce(concentration.channel_id, '') = coalesce(earlier.channel_id, '')
            and concentration.snapshot_month = earlier.snapshot_month + 12
    left join stayers
        on
            coalesce(concentration.channel_id, '') = coalesce(stayers.channel_id, '')
            and concentration.snapshot_month = stayers.snapshot_month

)

select * from final
