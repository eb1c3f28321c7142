{#-
    CTEs that end in `numbered`: what the visitors of a relation of events did in each half hour, with the number of the visitor's session.
    Events of one half hour are never more than 30 minutes apart, so they are of one session: the gaps need looking for between half
    hours only, and only numbers and times go through the windows.
-#}
{% macro numbered_half_hours(events) -%}
half_hours as (

    select
        visitor_id,
        half_hour,
        min(event_at) as first_at,
        max(event_at) as last_at,
        count(*) as events,
        count(*) filter (where event_type = 'page_view') as page_views,
        count(*) filter (where event_type = 'product_view') as product_views,
        count(*) filter (where event_type = 'add_to_cart') as add_to_carts,
        count(*) filter (where event_type = 'purchase') as purchases

    from {{ events }}
    group by
        visitor_id,
        half_hour

),

gaps as (

    select
        *,
        lag(last_at) over (partition by visitor_id order by half_hour) as previous_at

    from half_hours

),

numbered as (

    select
        *,
        sum(case when first_at <= {{ add_minutes('previous_at', 30) }} then 0 else 1 end) over (
            partition by visitor_id
            order by half_hour
            rows between unbounded preceding and current row
        ) as session_number

    from gaps

)
{%- endmacro %}


{#-
    CTEs that end in `bot_sessions`: visitor and number of the sessions that a rule of seeds/web_bot_rules.csv takes for a program's, from
    `events` and `numbered`.
-#}
{% macro bot_sessions() -%}
agents as (

    select distinct user_agent

    from events
    where user_agent is not null

),

bot_agents as (

    select distinct agents.user_agent

    from agents
    inner join {{ ref('web_bot_rules') }} as rules
        on
            rules.rule_type = 'agent_contains'
            and lower(agents.user_agent) like concat('%', rules.pattern, '%')

),

bot_events as (

    select
        events.visitor_id,
        events.half_hour

    from events
    inner join bot_agents on events.user_agent = bot_agents.user_agent

),

bot_sessions as (

    select
        numbered.visitor_id,
        numbered.session_number

    from numbered
    inner join bot_events
        on
            numbered.visitor_id = bot_events.visitor_id
            and numbered.half_hour = bot_events.half_hour

    union

    select
        numbered.visitor_id,
        numbered.session_number

    from numbered
    inner join {{ ref('web_bot_rules') }} as rules
        on
            rules.rule_type = 'events_per_half_hour'
            and numbered.events >= rules.limit_value

)
{%- endmacro %}
