{{ config(
    pre_hook={'transaction': false, 'sql': "{{ remember_last(
        'channels', this, {'channel_id': dbt.type_string(), 'channel_type': dbt.type_string()}
    ) }}"},
    meta={'referenced': ['channel_id']}
) }}

with

delivered as (

    select * from {{ ref('stg_erp__channels') }}

),

referenced as (

    select channel_id from {{ ref('stg_shop__orders') }}
    union
    select acquisition_channel_id as channel_id from {{ ref('stg_crm__customers') }}

),

final as (

    select
        channel_id,
        channel_name,
        channel_type,
        is_direct,
        is_listed,
        false as is_inferred

    from delivered

    union all

    select
        referenced.channel_id,
        'unknown' as channel_name,
        cast(null as {{ dbt.type_string() }}) as channel_type,
        cast(null as boolean) as is_direct,
        false as is_listed,
        true as is_inferred

    from referenced
    left join delivered on referenced.channel_id = delivered.channel_id
    where
        referenced.channel_id is not null
        and delivered.channel_id is null

)

select * from final
