{#- Money is decimal from end to end. A product is computed in decimal(38, 15), wide enough for a
    quantity of 3, a price of 4 and a rate of 8 decimals, and rounded once, half away from zero. -#}

{#- A decimal of so many decimals, rounded to cents. -#}
{% macro to_cents(amount, decimals=7) -%}
    {{ adapter.dispatch('to_cents', 'fidelis')(amount, decimals) }}
{%- endmacro %}

{#- DuckDB rounds numbers of 18 digits ten times as fast as those of 38: what has room in 18 is rounded there. -#}
{% macro duckdb__to_cents(amount, decimals) -%}
    case
        when abs({{ amount }}) < {{ 10 ** (17 - decimals) }}
            then cast(round(cast({{ amount }} as decimal(18, {{ decimals }})), 2) as decimal(18, 2))
        else cast(round({{ amount }}, 2) as decimal(18, 2))
    end
{%- endmacro %}

{% macro spark__to_cents(amount, decimals) -%}
    cast(round({{ amount }}, 2) as decimal(18, 2))
{%- endmacro %}


{#- Product of two decimals of so many decimals each, rounded to cents. -#}
{% macro product_in_cents(factor, price, decimals=[3, 4]) -%}
    {{ adapter.dispatch('product_in_cents', 'fidelis')(factor, price, decimals) }}
{%- endmacro %}

{#- DuckDB multiplies decimals of 9 digits each as whole numbers of 64 bits, others as ones of 128. -#}
{% macro duckdb__product_in_cents(factor, price, decimals) -%}
    case
        when abs({{ factor }}) < {{ 10 ** (9 - decimals[0]) }} and abs({{ price }}) < {{ 10 ** (9 - decimals[1]) }}
            then cast(
                round(
                    cast({{ factor }} as decimal(9, {{ decimals[0] }})) * cast({{ price }} as decimal(9, {{ decimals[1] }})), 2
                ) as decimal(18, 2)
            )
        else {{ to_cents('(' ~ factor ~ ' * cast(' ~ price ~ ' as decimal(38, ' ~ decimals[1] ~ ')))', decimals=decimals | sum) }}
    end
{%- endmacro %}

{% macro spark__product_in_cents(factor, price, decimals) -%}
    {{ to_cents('(' ~ factor ~ ' * cast(' ~ price ~ ' as decimal(38, ' ~ decimals[1] ~ ')))', decimals=decimals | sum) }}
{%- endmacro %}


{#- Amount (at most 7 decimals) times rate, rounded to cents. Most amounts are in the reporting currency, at a rate of 1. -#}
{% macro convert_amount(amount, rate) -%}
    case
        when {{ rate }} = 1 then {{ to_cents(amount) }}
        else cast(round(cast({{ amount }} as decimal(38, 7)) * {{ rate }}, 2) as decimal(18, 2))
    end
{%- endmacro %}


{#- Amount (at most 7 decimals) that includes tax, times rate, without the tax, rounded to cents. -#}
{% macro convert_amount_without_tax(amount, rate, tax_rate) -%}
    {{ adapter.dispatch('convert_amount_without_tax', 'fidelis')(amount, rate, tax_rate) }}
{%- endmacro %}

{#- DuckDB divides decimals as doubles, which puts exact half cents on the wrong side. So the product is
    taken apart into a whole number of 10^-15 and divided as whole numbers; the divisor has 6 decimals. -#}
{% macro duckdb__convert_amount_without_tax(amount, rate, tax_rate) -%}
    {%- set product -%} (cast({{ amount }} as decimal(38, 7)) * {{ rate }}) {%- endset -%}
    {%- set units -%}
    (cast(trunc({{ product }}) as hugeint) * 1000000000000000
        + cast(({{ product }} - trunc({{ product }})) * cast(1000000000000000 as decimal(16, 0)) as hugeint))
    {%- endset -%}
    {%- set divisor -%} (cast((1 + {{ tax_rate }}) * 1000000 as hugeint) * 10000000) {%- endset -%}
    cast(
        cast(
            sign({{ units }}) * ((2 * abs({{ units }}) + {{ divisor }}) // (2 * {{ divisor }})) as decimal(38, 0)
        ) * cast(0.01 as decimal(3, 2)) as decimal(18, 2)
    )
{%- endmacro %}

{% macro spark__convert_amount_without_tax(amount, rate, tax_rate) -%}
    cast(round(cast({{ amount }} as decimal(38, 7)) * {{ rate }} / (1 + {{ tax_rate }}), 2) as decimal(18, 2))
{%- endmacro %}
