with

lifecycle as (

    select * from {{ ref('customer_lifecycle_monthly') }}

),

web_sessions as (

    select * from {{ ref('fct_web_sessions') }}

),

transitions as (

    select * from {{ ref('lifecycle_transitions') }}

),

run_parameters as (

    select * from {{ source('control', 'run_parameters') }}

),

{{ last_month() }},

customer_moves as (

    select
        snapshot_date,
        previous_stage as stage,
        stage as next_stage,
        count(*) as people,
        0 as unknown_visitors,
        count(*) filter (where is_distributor_only) as distributor_only_customers

    from lifecycle
    group by snapshot_date, previous_stage, stage

),

-- visitors of whom nobody knows who they are: people of a month in which they come
visitor_months as (

    select
        visitor_id,
        {{ month_index('session_date') }} as month_index

    from web_sessions
    where customer_id is null and not is_bot
    group by visitor_id, {{ month_index('session_date') }}

),

neighbours as (

    select
        visitor_id,
        month_index,
        lag(month_index) over (partition by visitor_id order by month_index) as month_before,
        lead(month_index) over (partition by visitor_id order by month_index) as month_after

    from visitor_months

),

visitor_moves as (

    select
        month_index,
        case when month_before = month_index - 1 then 'visitor' end as stage,
        'visitor' as next_stage,
        count(*) as people

    from neighbours
    group by month_index, case when month_before = month_index - 1 then 'visitor' end

    union all

    select
        month_index + 1 as month_index,
        'visitor' as stage,
        cast(null as {{ dbt.type_string() }}) as next_stage,
        count(*) as people

    from neighbours
    where coalesce(month_after, 0) <> month_index + 1
    group by month_index + 1

),

moves as (

    select * from customer_moves

    union all

    select
        cast(last_day({{ month_of_index('visitor_moves.month_index') }}) as date) as snapshot_date,
        visitor_moves.stage,
        visitor_moves.next_stage,
        visitor_moves.people,
        visitor_moves.people as unknown_visitors,
        0 as distributor_only_customers

    from visitor_moves
    inner join last_month on visitor_moves.month_index <= last_month.month_index

),

summed as (

    select
        snapshot_date,
        stage,
        next_stage,
        cast(sum(people) as bigint) as people,
        cast(sum(unknown_visitors) as bigint) as unknown_visitors,
        cast(sum(distributor_only_customers) as bigint) as distributor_only_customers

    from moves
    group by snapshot_date, stage, next_stage

),

final as (

    select
        summed.snapshot_date,
        summed.stage,
        summed.next_stage,
        coalesce(transitions.direction, case when summed.next_stage is null then 'left' end) as direction,
        case
            when summed.stage is not null
                then cast(sum(summed.people) over (partition by summed.snapshot_date, summed.stage) as bigint)
        end as opening_people,
        summed.people,
        cast(summed.people as double) / case
            when summed.stage is not null then sum(summed.people) over (partition by summed.snapshot_date, summed.stage)
        end as conversion_rate,
        summed.unknown_visitors,
        summed.distributor_only_customers

    from summed
    left join transitions
        on
            coalesce(summed.stage, '') = coalesce(transitions.stage, '')
            and summed.next_stage = transitions.next_stage

)

select * from final
