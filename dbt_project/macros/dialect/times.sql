{#- Times: everything is stored as a naive UTC timestamp; dates are taken in the business time zone. -#}

{#- The business date of a UTC timestamp. -#}
{% macro business_date(utc_timestamp, timezone) -%}
    {{ adapter.dispatch('business_date', 'fidelis')(utc_timestamp, timezone) }}
{%- endmacro %}

{#- A number of microseconds becomes an instant as it is; `at time zone 'UTC'` asks a calendar. -#}
{% macro duckdb__business_date(utc_timestamp, timezone) -%}
    cast(make_timestamptz(epoch_us({{ utc_timestamp }})) at time zone {{ timezone }} as date)
{%- endmacro %}

{% macro spark__business_date(utc_timestamp, timezone) -%}
    cast(from_utc_timestamp({{ utc_timestamp }}, {{ timezone }}) as date)
{%- endmacro %}


{#- The UTC timestamp at which a business date begins. -#}
{% macro business_day_start(date, timezone) -%}
    {{ adapter.dispatch('business_day_start', 'fidelis')(date, timezone) }}
{%- endmacro %}

{% macro duckdb__business_day_start(date, timezone) -%}
    cast({{ date }} as timestamp) at time zone {{ timezone }} at time zone 'UTC'
{%- endmacro %}

{% macro spark__business_day_start(date, timezone) -%}
    to_utc_timestamp(cast({{ date }} as timestamp), {{ timezone }})
{%- endmacro %}


{#- Hours from one timestamp to another, with fractions, as a double. -#}
{% macro hours_between(from_timestamp, to_timestamp) -%}
    {{ adapter.dispatch('hours_between', 'fidelis')(from_timestamp, to_timestamp) }}
{%- endmacro %}

{% macro duckdb__hours_between(from_timestamp, to_timestamp) -%}
    cast(date_diff('microsecond', {{ from_timestamp }}, {{ to_timestamp }}) as double) / 3600000000.0
{%- endmacro %}

{% macro spark__hours_between(from_timestamp, to_timestamp) -%}
    cast(unix_micros({{ to_timestamp }}) - unix_micros({{ from_timestamp }}) as double) / 3600000000.0D
{%- endmacro %}


{#- The timestamp some minutes later. -#}
{% macro add_minutes(timestamp, minutes) -%}
    {{ adapter.dispatch('add_minutes', 'fidelis')(timestamp, minutes) }}
{%- endmacro %}

{% macro duckdb__add_minutes(timestamp, minutes) -%}
    {{ timestamp }} + to_minutes(cast({{ minutes }} as bigint))
{%- endmacro %}

{% macro spark__add_minutes(timestamp, minutes) -%}
    timestampadd(minute, {{ minutes }}, {{ timestamp }})
{%- endmacro %}


{#- Number of the half hour that holds a timestamp; two events of one half hour are never more than
    30 minutes apart. -#}
{% macro half_hour_number(timestamp) -%}
    {{ adapter.dispatch('half_hour_number', 'fidelis')(timestamp) }}
{%- endmacro %}

{% macro duckdb__half_hour_number(timestamp) -%}
    epoch_us({{ timestamp }}) // 1800000000
{%- endmacro %}

{% macro spark__half_hour_number(timestamp) -%}
    cast(floor(unix_micros({{ timestamp }}) / 1800000000) as bigint)
{%- endmacro %}


{#- The whole second of a timestamp. -#}
{% macro second_start(timestamp) -%}
    date_trunc('second', {{ timestamp }})
{%- endmacro %}
