model (name mart.dim_campaign, kind full);

select * from read_parquet(@landing || '/campaigns/*.parquet')
