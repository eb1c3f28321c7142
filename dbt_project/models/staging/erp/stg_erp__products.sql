with

versions as (

    {{ version_rows('products', key=['product_id'], columns=[
        'product_name',
        'category',
        'brand',
        'unit_cost'
    ]) | indent(4) }}

),

final as (

    select
        product_id,

        product_name,
        category,
        brand,

        unit_cost,

        _delivery_date as delivery_date

    from versions

)

select * from final
