with

campaigns as (

    select *
    from {{ differing_rows(
        source('control', 'last_campaigns'), ref('stg_marketing__campaigns'), ['campaign_id', 'medium', 'coupon_code', 'reports_conversions']
    ) | indent(4) }} as differing

),

messages_of_campaigns as (

    select messages.message_id

    from {{ ref('stg_marketing__messages') }} as messages
    semi join campaigns on messages.campaign_id = campaigns.campaign_id

),

messages_of_accounts as (

    select messages.message_id

    from {{ ref('stg_marketing__messages') }} as messages
    semi join {{ ref('int_touched_identities') }} as identities on messages.customer_id = identities.source_customer_id

),

campaigns_of_orders as (

    select campaigns.campaign_id

    from {{ ref('stg_marketing__campaigns') }} as campaigns
    left join {{ ref('reaction_windows') }} as windows on campaigns.medium = windows.medium
    where
        campaigns.coupon_code is not null
        or not coalesce(campaigns.reports_conversions, windows.conversions_from = 'reports')

),

accounts_of_buyers as (

    select identity.source_customer_id

    from {{ ref('int_customer_identity') }} as identity
    semi join {{ ref('int_touched_buyers') }} as buyers on identity.customer_id = buyers.customer_id

),

messages_of_orders as (

    select messages.message_id

    from {{ ref('stg_marketing__messages') }} as messages
    semi join campaigns_of_orders on messages.campaign_id = campaigns_of_orders.campaign_id
    semi join accounts_of_buyers on messages.customer_id = accounts_of_buyers.source_customer_id

),

touched_seconds as (

    select {{ second_start('reacted_at') }} as reacted_second
    from {{ source('control', 'touched_campaign_reactions') }}
    group by {{ second_start('reacted_at') }}

),

-- whether many were opened at once depends on what else was opened in that second
messages_of_seconds as (

    select opened.message_id

    from {{ ref('stg_marketing__reactions') }} as opened
    semi join touched_seconds on {{ second_start('opened.reacted_at') }} = touched_seconds.reacted_second
    where opened.reaction_type = 'opened'

),

longest_window as (

    select
        max(windows.window_hours) as window_hours,
        max({{ business_day_start(add_days('plan.last_as_of_date', 1), 'run.business_timezone') }}) as last_as_of_at

    from {{ ref('reaction_windows') }} as windows
    cross join {{ source('control', 'build_plan') }} as plan
    cross join {{ source('control', 'run_parameters') }} as run
    where not plan.is_whole

),

-- what was pending at the last build may be decided by now
messages_of_open_windows as (

    select messages.message_id

    from {{ ref('stg_marketing__messages') }} as messages
    inner join longest_window
        on longest_window.last_as_of_at < {{ add_minutes('messages.sent_at', '60 * longest_window.window_hours') }}

),

final as (

    select message_id from {{ source('control', 'touched_campaign_messages') }}
    union
    select message_id from {{ source('control', 'touched_campaign_reactions') }}
    union
    select message_id from messages_of_campaigns
    union
    select message_id from messages_of_accounts
    union
    select message_id from messages_of_orders
    union
    select message_id from messages_of_seconds
    union
    select message_id from messages_of_open_windows

)

select * from final
