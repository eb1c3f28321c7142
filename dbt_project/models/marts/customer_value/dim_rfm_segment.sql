with

segments as (

    select * from {{ ref('rfm_segments') }}

),

final as (

    select
        segment,
        segment_fr,
        description,
        recommended_action

    from segments

)

select * from final
