with

restated as (

    select * from {{ ref('int_kpi_restatements') }}

),

final as (

    select
        release_id,
        table_name,
        period_start,
        channel_id,
        metric,
        cause,
        old_value,
        new_value,
        effect,
        previous_release_id,
        as_of_date

    from restated

)

select * from final
