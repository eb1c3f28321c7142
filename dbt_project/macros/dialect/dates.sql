{#- Dates: the engines differ in what a date plus or minus something is. Every macro here returns a
    date or a whole number, whatever the engine. -#}

{#- Whole days from one date to another; negative when the second comes first. -#}
{% macro days_between(from_date, to_date) -%}
    {{ adapter.dispatch('days_between', 'fidelis')(from_date, to_date) }}
{%- endmacro %}

{% macro duckdb__days_between(from_date, to_date) -%}
    date_diff('day', {{ from_date }}, {{ to_date }})
{%- endmacro %}

{% macro spark__days_between(from_date, to_date) -%}
    cast(datediff({{ to_date }}, {{ from_date }}) as bigint)
{%- endmacro %}


{#- Whole calendar months from the month of one date to the month of another: Jan 31 to Feb 1 is 1. -#}
{% macro months_between(from_date, to_date) -%}
    ((extract(year from {{ to_date }}) - extract(year from {{ from_date }})) * 12
    + extract(month from {{ to_date }}) - extract(month from {{ from_date }}))
{%- endmacro %}


{#- The date some days later. -#}
{% macro add_days(date, days) -%}
    {{ adapter.dispatch('add_days', 'fidelis')(date, days) }}
{%- endmacro %}

{% macro duckdb__add_days(date, days) -%}
    cast({{ date }} + to_days(cast({{ days }} as integer)) as date)
{%- endmacro %}

{% macro spark__add_days(date, days) -%}
    date_add({{ date }}, cast({{ days }} as int))
{%- endmacro %}


{#- The same day some months later, or the last day of a month that has no such day. -#}
{% macro add_months(date, months) -%}
    {{ adapter.dispatch('add_months', 'fidelis')(date, months) }}
{%- endmacro %}

{% macro duckdb__add_months(date, months) -%}
    cast({{ date }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{% macro spark__add_months(date, months) -%}
    add_months({{ date }}, cast({{ months }} as int))
{%- endmacro %}


{% macro month_start(date) -%}
    cast(date_trunc('month', {{ date }}) as date)
{%- endmacro %}


{% macro month_end(date) -%}
    last_day({{ date }})
{%- endmacro %}


{% macro quarter_start(date) -%}
    cast(date_trunc('quarter', {{ date }}) as date)
{%- endmacro %}


{% macro year_start(date) -%}
    cast(date_trunc('year', {{ date }}) as date)
{%- endmacro %}


{#- January 1 or July 1. -#}
{% macro half_year_start(date) -%}
    case
        when extract(month from {{ date }}) <= 6 then {{ year_start(date) }}
        else {{ add_months(year_start(date), 6) }}
    end
{%- endmacro %}


{#- ISO 8601 day of the week, Monday 1 to Sunday 7. -#}
{% macro iso_day_of_week(date) -%}
    {{ adapter.dispatch('iso_day_of_week', 'fidelis')(date) }}
{%- endmacro %}

{% macro duckdb__iso_day_of_week(date) -%}
    cast(isodow({{ date }}) as integer)
{%- endmacro %}

{% macro spark__iso_day_of_week(date) -%}
    cast(weekday({{ date }}) + 1 as int)
{%- endmacro %}


{#- ISO 8601 week as text, 2024-W01; the year is the week's, not the calendar's. -#}
{% macro iso_week(date) -%}
    {{ adapter.dispatch('iso_week', 'fidelis')(date) }}
{%- endmacro %}

{% macro duckdb__iso_week(date) -%}
    strftime({{ date }}, '%G-W%V')
{%- endmacro %}

{% macro spark__iso_week(date) -%}
    concat(extract(yearofweek from {{ date }}), '-W', lpad(cast(weekofyear({{ date }}) as string), 2, '0'))
{%- endmacro %}


{#- One row per day from one column to another, both included, for each row of a relation:
    `select customer_id, <date_series> as date_day from bounds`. -#}
{% macro date_series(from_date, to_date) -%}
    {{ adapter.dispatch('date_series', 'fidelis')(from_date, to_date) }}
{%- endmacro %}

{% macro duckdb__date_series(from_date, to_date) -%}
    cast(unnest(generate_series(cast({{ from_date }} as timestamp), cast({{ to_date }} as timestamp), interval 1 day)) as date)
{%- endmacro %}

{% macro spark__date_series(from_date, to_date) -%}
    explode(sequence({{ from_date }}, {{ to_date }}, interval 1 day))
{%- endmacro %}


{#- One row per month start from one column to another, both included; give it month starts. -#}
{% macro month_series(from_month, to_month) -%}
    {{ adapter.dispatch('month_series', 'fidelis')(from_month, to_month) }}
{%- endmacro %}

{% macro duckdb__month_series(from_month, to_month) -%}
    cast(unnest(generate_series(cast({{ from_month }} as timestamp), cast({{ to_month }} as timestamp), interval 1 month)) as date)
{%- endmacro %}

{% macro spark__month_series(from_month, to_month) -%}
    explode(sequence({{ from_month }}, {{ to_month }}, interval 1 month))
{%- endmacro %}


{#- One row per number of a list: `select {{ unnest_integers([12, 24, 36]) }} as months`. -#}
{% macro unnest_integers(numbers) -%}
    {{ adapter.dispatch('unnest_integers', 'fidelis')(numbers) }}
{%- endmacro %}

{% macro duckdb__unnest_integers(numbers) -%}
    unnest([{{ numbers | join(', ') }}])
{%- endmacro %}

{% macro spark__unnest_integers(numbers) -%}
    explode(array({{ numbers | join(', ') }}))
{%- endmacro %}

{#- Calendar year of a date, as an integer. -#}
{% macro year_of(date) -%}
    cast(extract(year from {{ date }}) as integer)
{%- endmacro %}
