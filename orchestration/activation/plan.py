"""What was planned with an audience: since when each account is in it, or held back from it, and until when."""

import duckdb

from orchestration.activation.audience import Audience
from orchestration.activation.gate import HELD_BACK
from orchestration.activation_files import PLAN
from orchestration.rules import no_rows, quote_text


def write_plan(
    con: duckdb.DuckDBPyConnection, audience: Audience, before: str | None, first_day: str, file: str
) -> None:
    """Write the plan after an export: the one ``before`` (SQL) with what begins and ends on ``first_day`` (an SQL date).

    ``con`` has ``judged`` and ``contacts``. Held back is who would be in the file but for the test.
    """
    held = ", ".join(quote_text(reason) for reason in HELD_BACK)
    con.execute(f"""
        copy (
            with
            past as ({before or no_rows(PLAN)}),
            today as (
                select
                    {quote_text(audience.name)} as audience,
                    {quote_text(audience.campaign)} as campaign_id,
                    {quote_text(audience.medium)} as medium,
                    contacts.account_id,
                    coalesce(judged.reason, 'treated') as planned_group
                from judged inner join contacts using (customer_id)
                where judged.reason is null or judged.reason in ({held})
            ),
            kept as (
                select
                    past.* exclude (withdrawn_on),
                    case
                        when past.withdrawn_on is null and today.account_id is null then {first_day} else past.withdrawn_on
                    end as withdrawn_on
                from past
                left join today using (audience, campaign_id, medium, account_id, planned_group)
            ),
            begun as (
                select today.*, {first_day} as planned_on, cast(null as date) as withdrawn_on
                from today
                anti join (select * from past where withdrawn_on is null) as open
                    using (audience, campaign_id, medium, account_id, planned_group)
            )
            select {", ".join(PLAN)} from (select * from kept union all by name select * from begun)
            -- planned and withdrawn before anybody could act on it
            where withdrawn_on is null or withdrawn_on > planned_on
            order by all
        ) to {quote_text(file)} (format parquet)
    """)
