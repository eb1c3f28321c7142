{#-
    How much a source system is trusted: its place in the variable `trusted_systems`, from the end; 0 for one that is not named.
-#}
{% macro source_trust(system) -%}
    case {{ system }}
        {%- for name in var('trusted_systems') %}
        when '{{ name }}' then {{ loop.revindex }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}


{#-
    What orders the versions of a customer's accounts for an attribute, by the variable `survivorship`: `most_recent`,
    `most_trusted` or `most_complete`; the e-mail address also `most_recent_verified`, as no source says it of anything else.
    The account number breaks ties.
-#}
{% macro precedence(attribute, relation) -%}
    {%- set strategy = var('survivorship')[attribute] | default('most_recent') -%}
    {%- set parts = {
        'most_recent': ['delivery_date', 'trust'],
        'most_trusted': ['trust', 'delivery_date'],
        'most_complete': ['completeness', 'delivery_date', 'trust'],
    } -%}
    {%- if attribute == 'email' -%}
        {%- do parts.update({'most_recent_verified': ['verification', 'delivery_date', 'trust']}) -%}
    {%- endif -%}
    {%- if execute and strategy not in parts -%}
        {{ exceptions.raise_compiler_error("survivorship of " ~ attribute ~ ": '" ~ strategy ~ "' is none of " ~ parts | join(', ')) }}
    {%- endif -%}
    {{ record(parts.get(strategy, []) + ['source_customer_id']) }}
{%- endmacro %}


{#- How far the e-mail address of an account's version is confirmed: by its owner, not known, known not to be. -#}
{% macro email_verification(relation) -%}
    case when {{ relation }}.is_email_verified then 2 when {{ relation }}.is_email_verified is null then 1 else 0 end
{%- endmacro %}


{#- How many attributes an account's version has a value for: one list, so that no two tables see another survivor. -#}
{% macro completeness(relation) -%}
    {%- for column in [
        'first_name', 'last_name', 'email', 'phone', 'street', 'postal_code', 'country', 'birth_date', 'gender',
    ] %}
        case when {{ relation }}.{{ column }} is null then 0 else 1 end{% if not loop.last %} +{% endif %}
    {%- endfor %}
{%- endmacro %}


{#- The surviving value of an attribute, or with `column`, that column of the version it comes from. -#}
{% macro survivor(attribute, column=none) -%}
    max_by({{ column or attribute }}, {{ precedence(attribute) }}) filter (where {{ attribute }} is not null)
{%- endmacro %}
