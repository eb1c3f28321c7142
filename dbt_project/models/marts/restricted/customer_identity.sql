with

history as (

    select * from {{ source('identity', 'history') }}

),

final as (

    select
        record_kind,
        source_id,
        source_system,
        customer_id,
        rule,
        match_weight,
        valid_from,
        valid_to,
        known_since,
        known_until,
        since_revision,
        until_revision,
        run_id

    from history

)

select * from final
