model (name mart.dim_channel, kind full);

select * from read_parquet(@landing || '/channels/*.parquet')
