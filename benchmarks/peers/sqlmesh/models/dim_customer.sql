model (name mart.dim_customer, kind full);

with
told as (
    select
        *,
        hash(first_name, last_name, email, phone, postcode, city, country, tier, marketing_consent) as content
    from read_parquet(@landing || '/customers/*.parquet')
),
compared as (
    select *, lag(content) over (partition by customer_id order by updated_at) as previous
    from told
)
select
    row_number() over (order by customer_id, updated_at) as customer_key,
    * exclude (content, previous),
    case when previous is null then timestamp '1900-01-01' else updated_at end as valid_from,
    coalesce(lead(updated_at) over (partition by customer_id order by updated_at), timestamp '2200-01-01') as valid_to
from compared
where previous is distinct from content
