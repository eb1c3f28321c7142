{#- Group of the channel that brought a visit, from the tags of its landing link and its referrer, all
    in lower case. The first rule that fits holds: a tag beats a referrer. -#}
{% macro channel_group(source, medium, referrer) -%}
    case
        when {{ medium }} in ('cpc', 'ppc', 'paid', 'paidsearch', 'paid_search', 'sem') then 'paid_search'
        when {{ medium }} in ('paid_social', 'paidsocial', 'cpc_social', 'social_paid') then 'paid_social'
        when {{ medium }} in ('display', 'banner', 'cpm', 'retargeting', 'ads') then 'display'
        when {{ medium }} in ('affiliate', 'affiliates', 'partner') then 'affiliate'
        when {{ medium }} in ('email', 'e-mail', 'newsletter') or {{ source }} in ('email', 'newsletter') then 'email'
        when {{ medium }} = 'sms' or {{ source }} = 'sms' then 'sms'
        when {{ medium }} in ('push', 'notification') then 'push'
        when {{ medium }} in ('mail', 'print', 'qr') then 'mail'
        when {{ medium }} in ('social', 'organic_social', 'sm') then 'organic_social'
        when {{ medium }} = 'organic' then 'organic_search'
        when {{ medium }} = 'referral' then 'referral'
        when {{ medium }} is not null or {{ source }} is not null then 'other'
        when {{ referrer }} is null then 'direct'
        {% for engine in ['search.', 'google.', 'bing.', 'duckduckgo.', 'yahoo.', 'ecosia.', 'qwant.', 'baidu.', 'yandex.'] -%}
        when {{ referrer }} like '{{ engine }}%' or {{ referrer }} like '%.{{ engine }}%' then 'organic_search'
        {% endfor -%}
        {% for network in ['social.', 'facebook.', 'instagram.', 'tiktok.', 'pinterest.', 'linkedin.', 'youtube.', 'twitter.', 'x.com', 't.co'] -%}
        when {{ referrer }} like '{{ network }}%' or {{ referrer }} like '%.{{ network }}%' then 'organic_social'
        {% endfor -%}
        else 'referral'
    end
{%- endmacro %}
