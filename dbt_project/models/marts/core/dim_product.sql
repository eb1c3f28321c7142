{{ config(meta={'referenced': ['product_key']}) }}

with

delivered as (

    select * from {{ ref('stg_erp__products') }}

),

sold as (

    select product_id
    from {{ ref('stg_shop__order_lines') }}
    group by product_id

),

periods as (

    select
        product_id,
        product_name,
        category,
        brand,
        unit_cost,
        -- what was first delivered is taken to have held before
        case
            when row_number() over (partition by product_id order by delivery_date) = 1 then date '1900-01-01'
            else delivery_date
        end as valid_from,
        lead(delivery_date, 1, date '9999-12-31') over (partition by product_id order by delivery_date) as valid_to

    from delivered

),

inferred as (

    select
        sold.product_id,
        'unknown' as product_name,
        cast(null as {{ dbt.type_string() }}) as category,
        cast(null as {{ dbt.type_string() }}) as brand,
        cast(null as decimal(18, 4)) as unit_cost,
        date '1900-01-01' as valid_from,
        date '9999-12-31' as valid_to

    from sold
    left join periods on sold.product_id = periods.product_id
    where periods.product_id is null

),

versions as (

    select
        *,
        false as is_inferred

    from periods

    union all

    select
        *,
        true as is_inferred

    from inferred

),

final as (

    select
        {{ hash_key(['product_id', 'valid_from']) }} as product_key,
        product_id,
        product_name,
        category,
        brand,
        unit_cost,
        valid_from,
        valid_to,
        valid_to = date '9999-12-31' as is_current,
        is_inferred

    from versions

)

select * from final
