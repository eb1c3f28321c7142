-- The grid gives exactly one segment to each of the 25 cells R x F, and has no other cell.
with

scores as (

    select {{ unnest_integers([1, 2, 3, 4, 5]) }} as score

),

cells as (

    select
        recency.score as r_score,
        frequency.score as f_score

    from scores as recency
    cross join scores as frequency

),

given as (

    select
        r_score,
        f_score,
        count(*) as grid_rows,
        count(segment) as segments

    from {{ ref('rfm_segment_grid') }}
    group by r_score, f_score

),

final as (

    select
        coalesce(cells.r_score, given.r_score) as r_score,
        coalesce(cells.f_score, given.f_score) as f_score,
        given.grid_rows,
        given.segments

    from cells
    full outer join given
        on
            cells.r_score = given.r_score
            and cells.f_score = given.f_score
    where
        cells.r_score is null
        or given.grid_rows is null
        or given.grid_rows <> 1
        or given.segments <> 1

)

select * from final
