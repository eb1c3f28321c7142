{#- The stage of a customer's life at the end of a month (a month index), from the columns of a span of such months. -#}
{% macro lifecycle_stage(month) -%}
    case
        when last_order_month is null
            then
                case
                    when is_member and {{ month }} >= member_from_month then 'member'
                    when {{ month }} >= contact_from_month then 'prospect'
                    else 'visitor'
                end
        when {{ month }} - last_order_month >= {{ var('lifecycle_lost_months', 24) }} then 'lost'
        when {{ month }} - last_order_month >= {{ var('lifecycle_lapsed_months', 12) }} then 'lapsed'
        when {{ month }} - last_order_month >= {{ var('lifecycle_at_risk_months', 6) }} then 'at_risk'
        when {{ month }} - first_order_month < {{ var('lifecycle_new_months', 3) }} then 'new_customer'
        when {{ month }} - reactivated_month < {{ var('lifecycle_new_months', 3) }} then 'reactivated'
        when previous_net_12m > 0 and 100 * net_12m >= (100 + {{ var('lifecycle_growth_percent', 20) }}) * previous_net_12m then 'growing'
        else 'active'
    end
{%- endmacro %}
