{#
    What the raw zone holds by its index against what staging took of it, delivery day by delivery day.

    A staged row carries the day that delivered it, so the rows of a day that are not staged came again later: staging can never
    hold more rows of a day than were loaded. Nothing is later than a table's latest delivery, of which every row must be staged.
    Sums are compared on the days of which every row is staged; of the others, the difference is what came again later.
#}
with

run as (

    select * from {{ source('control', 'run_parameters') }}

),

deliveries as (

    select
        *,
        case when is_accepted then rows_held else 0 end as rows_accepted

    from {{ source('control', 'raw_deliveries') }}

),

raw_sums as (

    select * from {{ source('control', 'raw_sums') }}

),

staged as (

    select * from {{ ref('int_account_staged') }}

),

source_tables as (

    select * from {{ source('control', 'source_tables') }}

),

measures as (

    select
        table_name,
        measure

    from staged
    group by table_name, measure

),

latest as (

    select
        raw_sums.table_name,
        max(raw_sums.delivery_date) as latest_delivery_date

    from raw_sums
    inner join run on raw_sums.delivery_date <= run.as_of_date
    group by raw_sums.table_name

),

sides as (

    select
        raw_sums.*,
        raw_sums.amount as raw_amount,
        0 as staged_amount

    from raw_sums
    -- an empty staging table has no measures of its own: its rows must be missed all the same
    left join measures
        on
            raw_sums.table_name = measures.table_name
            and raw_sums.measure = measures.measure
    where measures.measure is not null or raw_sums.measure = 'rows'

    union all

    select
        staged.*,
        0 as raw_amount,
        staged.amount as staged_amount

    from staged

),

compared as (

    select
        table_name,
        delivery_date,
        currency,
        measure,
        sum(raw_amount) as raw_amount,
        sum(staged_amount) as staged_amount

    from sides
    group by table_name, delivery_date, currency, measure

),

judged as (

    select
        compared.*,
        max(case when compared.measure = 'rows' then compared.raw_amount - compared.staged_amount end) over (
            partition by compared.table_name, compared.delivery_date, compared.currency
        ) as rows_not_staged,
        compared.delivery_date > run.as_of_date as is_after,
        compared.delivery_date = latest.latest_delivery_date as is_latest,
        -- of these two, staging holds versions: a row that repeats the delivery before is none
        compared.table_name in ('customers', 'products') as is_versioned

    from compared
    cross join run
    left join latest on compared.table_name = latest.table_name

),

reasoned as (

    select
        judged.*,
        case
            when judged.is_after then 'after_as_of_date'
            when judged.rows_not_staged <= 0 then null
            when judged.is_versioned then 'same_as_delivery_before'
            when judged.is_latest then null
            when source_tables.delivery_mode = 'full' then 'listed_again_or_no_longer'
            else 'delivered_again_later'
        end as reason

    from judged
    left join source_tables on judged.table_name = source_tables.table_name

),

final as (

    {% for side, amount, reason in [
        ('left', 'rows_read', none),
        ('right', 'rows_accepted', none),
        ('excluded', 'rows_quarantined', 'quarantined'),
        ('excluded', 'rows_duplicate', 'declared_duplicate'),
        ('excluded', 'rows_elsewhere', 'row_of_another_table'),
        ('excluded', 'rows_refused', 'delivery_refused'),
    ] -%}
        select
            'read_to_raw' as step,
            table_name,
            '{{ side }}' as side,
            {{ "'" ~ reason ~ "'" if reason else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as reason,
            cast(null as {{ dbt.type_string() }}) as currency,
            'rows' as measure,
            cast({{ amount }} as decimal(38, 8)) as amount

        from deliveries

        union all

    {% endfor -%}
    {% for side, amount in [('left', 'raw_amount'), ('right', 'staged_amount'), ('excluded', 'raw_amount - staged_amount')] -%}
        select
            'raw_to_staging' as step,
            table_name,
            '{{ side }}' as side,
            {{ 'reason' if side == 'excluded' else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as reason,
            currency,
            measure,
            cast({{ amount }} as decimal(38, 8)) as amount

        from reasoned
        {% if side == 'excluded' -%}
            where reason is not null
        {% else -%}
            union all

        {% endif -%}
    {%- endfor %}
)

select * from final
