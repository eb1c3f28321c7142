{#- A whole number from 0 to 255 that depends on a key alone; another `place` from 1 to 16, another number. -#}
{% macro drawn_byte(key, place) -%}
    {%- set digits = "'0123456789abcdef'" -%}
    ((instr({{ digits }}, substring({{ hash_key([key]) }}, {{ 2 * place - 1 }}, 1)) - 1) * 16
    + instr({{ digits }}, substring({{ hash_key([key]) }}, {{ 2 * place }}, 1)) - 1)
{%- endmacro %}


{#- CTEs from `orders` to `compared`: whom loyalty actions are judged by, and from which day on. A drawn day is more often early in a customer's time, as
    enrolments are. Of more than 200,000 customers one in 2, 4, 8 ... is looked at, by a hash: more cost seconds each night and say nothing new. -#}
{% macro loyalty_compared() -%}
{%- set draw = drawn_byte('people.customer_id', 1) -%}
thinning as (

    select greatest(1, cast(power(2, ceil(log2(greatest(count(*), 1) / 200000.0))) as integer)) as step

    from {{ ref('dim_customer') }}
    where is_current

),

people as (

    select
        customers.customer_id,
        coalesce(customers.country, '') as market,
        case when customers.is_member then customers.member_since end as member_since

    from {{ ref('dim_customer') }} as customers
    cross join thinning
    where customers.is_current and {{ drawn_byte('customers.customer_id', 2) }} % thinning.step = 0

),

orders as (

    select
        customer_id,
        order_date,
        net_amount,
        margin_amount,
        is_first_order

    from {{ ref('fct_orders') }}
    where is_kept and customer_id in (select customer_id from people)

),

drawn as (

    select
        people.customer_id,
        people.market,
        people.member_since,
        orders.order_date as first_order_date,
        {{ add_days('orders.order_date', 'floor(' ~ draw ~ ' * ' ~ draw ~ ' * 1095 / 65536)') }} as drawn_date

    from people
    inner join orders on people.customer_id = orders.customer_id
    where orders.is_first_order

),

loyalty_messages as (

    select
        messages.customer_id,
        messages.campaign_id,
        messages.message_id,
        messages.sent_date,
        messages.is_control,
        campaigns.cost_amount

    from {{ ref('fct_campaign_messages') }} as messages
    inner join {{ ref('dim_campaign') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where {{ has_objective('campaigns.objective', 'loyalty_objectives') }}

),

sent as (

    select
        campaign_id,
        max(case when is_control then 1 else 0 end) = 1 as is_controlled,
        cast(max(cost_amount) / nullif(count(*) filter (where not is_control), 0) as decimal(18, 6)) as unit_cost

    from loyalty_messages
    group by campaign_id

),

first_assigned as (

    select
        customer_id,
        min({{ record(['sent_date', 'message_id', 'campaign_id', 'is_control']) }}) as first_row

    from loyalty_messages
    where
        campaign_id in (select campaign_id from sent where is_controlled)
        and customer_id in (select customer_id from people)
    group by customer_id

),

compared as (

    select
        'matched' as comparison,
        customer_id,
        market,
        true as is_treated,
        member_since as begins_on

    from drawn
    where member_since >= first_order_date

    union all

    select
        'matched' as comparison,
        customer_id,
        market,
        false as is_treated,
        drawn_date as begins_on

    from drawn
    where coalesce(member_since > drawn_date, true)

    union all

    select
        'held_out' as comparison,
        customer_id,
        first_row.campaign_id as market,
        not first_row.is_control as is_treated,
        first_row.sent_date as begins_on

    from first_assigned

)
{%- endmacro %}


{#- Filter of an aggregate: orders of the months after the day from which on a customer is compared. -#}
{% macro ordered_within(months) -%}
    filter (
        where
            orders.order_date > compared.begins_on
            and orders.order_date <= {{ add_months('compared.begins_on', months) }}
    )
{%- endmacro %}
