{#- CTEs, from `ranked` and `totals` to `places_of_80pct`: how many customers, the best first, it takes for 80 % of a month's value in a cut. Sums so far
    are what costs most, so they are taken of blocks of places, and one by one only in the block in which 80 % is reached. -#}
{% macro pareto_places() -%}
blocks as (

    select
        cut,
        snapshot_month,
        place - place % 1000 as block,
        sum(cents) as cents

    from ranked
    where cents > 0
    group by cut, snapshot_month, place - place % 1000

),

blocks_so_far as (

    select
        *,
        sum(cents) over (
            partition by cut, snapshot_month order by block
            rows between unbounded preceding and current row
        ) as cents_so_far

    from blocks

),

blocks_of_80pct as (

    select
        totals.cut,
        totals.snapshot_month,
        totals.cents as all_cents,
        min(blocks_so_far.block) as block,
        min(blocks_so_far.cents_so_far - blocks_so_far.cents) as cents_above

    from totals
    inner join blocks_so_far on totals.cut = blocks_so_far.cut and totals.snapshot_month = blocks_so_far.snapshot_month
    where 5 * blocks_so_far.cents_so_far >= 4 * totals.cents
    group by totals.cut, totals.snapshot_month, totals.cents

),

places_so_far as (

    select
        ranked.cut,
        ranked.snapshot_month,
        ranked.place,
        blocks_of_80pct.all_cents,
        blocks_of_80pct.cents_above + sum(ranked.cents) over (
            partition by ranked.cut, ranked.snapshot_month order by ranked.place
            rows between unbounded preceding and current row
        ) as cents_so_far

    from ranked
    inner join blocks_of_80pct
        on
            ranked.cut = blocks_of_80pct.cut
            and ranked.snapshot_month = blocks_of_80pct.snapshot_month
            and ranked.place - ranked.place % 1000 = blocks_of_80pct.block
    where ranked.cents > 0

),

places_of_80pct as (

    select
        cut,
        snapshot_month,
        min(place) as customers

    from places_so_far
    where 5 * cents_so_far >= 4 * all_cents
    group by cut, snapshot_month

)
{%- endmacro %}
