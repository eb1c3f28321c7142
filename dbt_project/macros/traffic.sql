{#-
    Columns source, medium and campaign of a visit, for `channel_groups`: as its tags say, else as its referrer does. A link of one of our
    campaigns is of the campaign's medium, whatever its tags say; media bought (`ads`) may be of any channel.
-#}
{% macro ways_in() -%}
case
    when own_medium is not null then ''
    when is_tagged then lower(coalesce(tags.utm_source, ''))
    else lower(coalesce(entry.referrer, '(direct)'))
end as source,
case
    when own_medium is not null then own_medium
    when is_tagged then lower(coalesce(tags.utm_medium, campaign_medium, ''))
    when entry.referrer is null then '(none)'
    else 'referral'
end as medium,
case when own_medium is null then lower(coalesce(tags.utm_campaign, '')) else '' end as campaign
{%- endmacro %}


{#-
    CTEs that end in `channel_groups`: the channel group of each (source, medium, campaign) of a relation `traffic`, all three in lower
    case, '' where there is none. The first rule of seeds/channel_group_rules.csv that fits holds; its terms are the patterns of
    seeds/traffic_terms.csv. Texts are looked at once each: visits are many, ways to come are few.
-#}
{% macro channel_groups(traffic) -%}
ways as (

    select distinct
        source,
        medium,
        campaign

    from {{ traffic }}

),

texts as (

    {%- for part in ['source', 'medium', 'campaign'] %}
    {% if not loop.first %}union
    {% endif -%}
    select
        '{{ part }}' as part,
        {{ part }} as text,
        {{ "concat('.', source, '.')" if part == 'source' else part }} as compared

    from ways
    {%- endfor %}

),

-- '*' stands for any text; the name of a source is one or more parts of a host
patterns as (

    select
        part,
        term,
        case
            when part = 'source' then concat('%.', replace(pattern, '_', '^_'), '.%')
            else replace(replace(coalesce(pattern, ''), '_', '^_'), '*', '%')
        end as pattern

    from {{ ref('traffic_terms') }}

),

text_terms as (

    select distinct
        texts.part,
        texts.text,
        patterns.term

    from texts
    inner join patterns
        on
            texts.part = patterns.part
            and texts.compared like patterns.pattern escape '^'

),

channel_groups as (

    select
        ways.source,
        ways.medium,
        ways.campaign,
        coalesce(
            min_by(rules.channel_group, rules.priority) filter (
                where
                    (rules.source_term is null or source_terms.term is not null)
                    and (rules.medium_term is null or medium_terms.term is not null)
                    and (rules.campaign_term is null or campaign_terms.term is not null)
            ),
            'unassigned'
        ) as channel_group

    from ways
    cross join {{ ref('channel_group_rules') }} as rules
    {% for part in ['source', 'medium', 'campaign'] -%}
    left join text_terms as {{ part }}_terms
        on
            {{ part }}_terms.part = '{{ part }}'
            and ways.{{ part }} = {{ part }}_terms.text
            and rules.{{ part }}_term = {{ part }}_terms.term
    {% endfor -%}
    group by
        ways.source,
        ways.medium,
        ways.campaign

)
{%- endmacro %}
