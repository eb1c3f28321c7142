{{ config(
    pre_hook=[
        "{{ remember_touched('products', ['product_id']) }}",
        "{{ remember_last('products', this, {
            'product_id': dbt.type_string(), 'unit_cost': 'decimal(18, 4)', 'delivery_date': 'date'
        }) }}"
    ],
    meta={'touched_by': [{'table': 'control.touched_products', 'columns': ['product_id']}]}
) }}

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
