with

accounts as (

    select
        *,
        row_number() over (partition by customer_id order by delivery_date desc) as recency

    from {{ ref('stg_crm__customers') }}

),

identity as (

    select * from {{ ref('int_customer_identity') }}

),

final as (

    select
        identity.customer_id,
        accounts.first_name,
        accounts.last_name,
        accounts.email,
        accounts.phone,
        accounts.street,
        accounts.postal_code,
        accounts.city,
        accounts.country,
        accounts.birth_date,
        accounts.loyalty_number

    from accounts
    inner join identity on accounts.customer_id = identity.source_customer_id
    where accounts.recency = 1

)

select * from final
