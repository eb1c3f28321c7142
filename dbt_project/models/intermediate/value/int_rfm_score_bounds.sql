{#
    score = 1 + floor(5 * percent_rank), at most 5, and percent_rank = customers with a lower value / (customers - 1). The
    score depends on the value alone, so four bounds replace a sort of the whole population, and equal values cannot part.
    All in whole numbers: nothing is rounded. Recency is ranked by the date of the last kept order, which orders a
    snapshot's customers exactly as -recency_days does.
#}
with

states as (

    select * from {{ ref('int_customer_rfm_states') }}

),

{{ rfm_bounds('recency', 'last_order_date') }},

{{ rfm_bounds('frequency', 'frequency') }},

{{ rfm_bounds('monetary', 'monetary') }},

final as (

    select
        recency_bounds.snapshot_month,
        cast(last_day({{ month_of_index('recency_bounds.snapshot_month') }}) as date) as snapshot_date,
        cast(recency_bounds.customers as bigint) as customers,
        recency_bounds.recency_2,
        recency_bounds.recency_3,
        recency_bounds.recency_4,
        recency_bounds.recency_5,
        frequency_bounds.frequency_2,
        frequency_bounds.frequency_3,
        frequency_bounds.frequency_4,
        frequency_bounds.frequency_5,
        monetary_bounds.monetary_2,
        monetary_bounds.monetary_3,
        monetary_bounds.monetary_4,
        monetary_bounds.monetary_5

    from recency_bounds
    inner join frequency_bounds on recency_bounds.snapshot_month = frequency_bounds.snapshot_month
    inner join monetary_bounds on recency_bounds.snapshot_month = monetary_bounds.snapshot_month

)

select * from final
