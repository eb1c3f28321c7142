model (name mart.fct_campaign_messages, kind full);

with
reacted as (
    select
        message_id, min(reaction_ts) filter (where reaction_type = 'open') as opened_at,
        min(reaction_ts) filter (where reaction_type = 'click') as clicked_at,
        min(reaction_ts) filter (where reaction_type = 'sale') as converted_at
    from read_parquet(@landing || '/campaign_reactions/*.parquet')
    group by message_id
)
select
    m.*, r.* exclude (message_id),
    case
        when r.converted_at is not null then 'converted' when r.clicked_at is not null then 'clicked'
        when r.opened_at is not null then 'opened' else 'no_reaction'
    end as reaction
from read_parquet(@landing || '/campaign_messages/*.parquet') as m
left join reacted as r on r.message_id = m.message_id
