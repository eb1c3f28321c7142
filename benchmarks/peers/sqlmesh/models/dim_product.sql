model (name mart.dim_product, kind full);

select * from read_parquet(@landing || '/products/*.parquet')
