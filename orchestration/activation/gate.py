"""The gate: who may be in a file, and for each who may not, why. Every export passes through it; no condition gets round it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from urllib.parse import quote

import duckdb

from orchestration.activation.audience import Audience, Cap, ExportError
from orchestration.activation.identifiers import join_contacts
from orchestration.incrementality import held_out_sql
from orchestration.rules import no_rows, quote_text
from orchestration.settings import Settings

#: Why somebody chosen is not in the file, the reason counted first where several hold.
REASONS = {
    "erased": "asked to be erased",
    "no_consent": "did not consent to the purpose and the medium",
    "unsubscribed": "unsubscribed from the medium after consenting",
    "complained": "complained of a message",
    "bounced": "a message over the medium bounced, for good as far as is known",
    "over_cap": "got as many messages as the audience allows",
    "shared_contact": "shares the address or number with somebody who may not be contacted",
    "no_contact": "has no address or number for the medium",
    "not_assigned": "is not among those drawn for the campaign's test",
    "holdout": "is in the global holdout",
    "control": "is in the campaign's control group",
    "same_contact": "has the address or number of somebody who is in the file",
}
#: Of these nobody else may use the address or number either.
_OF_THE_ADDRESS = (
    "erased", "no_consent", "unsubscribed", "complained", "bounced", "over_cap", "holdout", "control"
)  # fmt: skip
HELD_BACK = ("control", "holdout")


def judge(
    settings: Settings, con: duckdb.DuckDBPyConnection, audience: Audience, as_of: date
) -> tuple[dict[str, int], dict[str, int]]:
    """Make the table ``judged`` (customer_id, reason; null = may be in the file) of all in ``chosen``, and ``contacts``.

    ``con`` is open on a release, with its restricted file attached as ``personal``, and has the table ``chosen``. Returns how many each
    reason keeps out first, and for how many it holds at all.
    """
    join_contacts(settings, con, audience.medium, audience.platform)
    _read_files(settings, con, audience)
    flags = _flags(settings, audience, as_of)
    con.execute(
        "create or replace temp table refusals as select customer_id, "
        + ", ".join(f"coalesce({condition}, false) as {name}" for name, condition in flags.items())
        + f" from ({_PERSONS.format(consent=' and '.join(audience.consents), **_figures(audience, as_of))})"
    )
    barred = " or ".join(_OF_THE_ADDRESS)
    holds = ", ".join(f"{name} as {name}" for name in REASONS if name != "same_contact")
    first = " ".join(f"when {name} then '{name}'" for name in REASONS)
    con.execute(f"""
        create or replace temp table judged as
        with
        barred_keys as (
            select key, min(customer_id) as one, max(customer_id) as other
            from contact_keys semi join (select customer_id from refusals where {barred}) using (customer_id)
            group by key
        ),
        sharing as (
            select distinct k.customer_id from contact_keys as k
            inner join barred_keys as b on k.key = b.key and not (b.one = k.customer_id and b.other = k.customer_id)
        ),
        told as (
            select refusals.*, sharing.customer_id is not null as shared_contact, contacts.customer_id is null as no_contact
            from chosen
            inner join refusals using (customer_id)
            left join sharing using (customer_id)
            left join contacts using (customer_id)
        ),
        passing as (
            select customer_id from told where not ({" or ".join(n for n in REASONS if n != "same_contact")})
        ),
        -- of those who pass, each address is used once, for the first of them by number
        first_of_key as (
            select key, min(customer_id) as first_customer from contact_keys semi join passing using (customer_id) group by key
        ),
        doubles as (
            select distinct k.customer_id from contact_keys as k
            semi join passing using (customer_id)
            inner join first_of_key as f on k.key = f.key and k.customer_id <> f.first_customer
        ),
        reasons as (
            select told.customer_id, {holds}, doubles.customer_id is not null as same_contact
            from told left join doubles using (customer_id)
        )
        select customer_id, case {first} end as reason, * exclude (customer_id) from reasons
    """)
    counted = con.execute(
        "select "
        + ", ".join(f"count(*) filter (where reason = '{n}'), count(*) filter (where {n})" for n in REASONS)
        + " from judged"
    ).fetchall()[0]
    return dict(zip(REASONS, counted[::2], strict=True)), dict(zip(REASONS, counted[1::2], strict=True))


#: Everybody, with what decides. Consent counts from when it was last given.
_PERSONS = """
    select
        c.customer_id,
        now.customer_id is not null and now.consented as consented,
        r.complained, r.bounced, r.unsubscribed_on >= c.consented_since as unsubscribed_since,
        m.messages, a.assigned
    from (
        select customer_id, coalesce(max(valid_to) filter (where not coalesce({consent}, false)), date '1900-01-01') as consented_since
        from mart.dim_customer group by customer_id
    ) as c
    left join (
        select customer_id, bool_and(coalesce({consent}, false)) as consented from mart.dim_customer where is_current group by customer_id
    ) as now using (customer_id)
    left join (
        select
            r.customer_id,
            bool_or(r.reaction_type = 'complained') as complained,
            bool_or(r.reaction_type = 'bounced' and {same_medium} and {hard}) as bounced,
            max(r.reaction_date) filter (where r.reaction_type = 'unsubscribed' and {same_medium}) as unsubscribed_on
        from mart.fct_campaign_reactions as r inner join mart.fct_campaign_messages as m using (message_id)
        group by r.customer_id
    ) as r using (customer_id)
    left join (
        select customer_id, count(*) as messages from mart.fct_campaign_messages as m
        where not coalesce(m.is_control, false) and {same_medium} and m.sent_date > {cap_begins} group by customer_id
    ) as m using (customer_id)
    left join (select customer_id, list(planned_group) as assigned from assigned group by customer_id) as a using (customer_id)
"""


def _figures(audience: Audience, as_of: date) -> Mapping[str, str]:
    days = audience.frequency_cap.days if isinstance(audience.frequency_cap, Cap) else 0
    return {
        # a message of a campaign that nobody described may have come by any medium
        "same_medium": f"coalesce(m.medium, {quote_text(audience.medium)}) = {quote_text(audience.medium)}",
        "hard": "coalesce(r.bounce_type, 'hard') = 'hard'",
        "cap_begins": f"date '{as_of}' - {days}",
    }


def _flags(settings: Settings, audience: Audience, as_of: date) -> dict[str, str]:
    """Each reason that is a person's own, as a condition over ``_PERSONS``."""
    cap = audience.frequency_cap
    drawn = _draw_file(settings, audience).exists()
    return {
        "erased": "customer_id in (select customer_id from erased)",
        "no_consent": "consented is not true",
        "unsubscribed": "unsubscribed_since",
        "complained": "complained",
        "bounced": "bounced",
        "over_cap": f"messages >= {cap.messages}" if isinstance(cap, Cap) else "false",
        "not_assigned": "not coalesce(list_has_any(assigned, ['treated', 'control', 'holdout']), false)"
        if drawn
        else "false",
        "holdout": "list_contains(assigned, 'holdout') or "
        + held_out_sql("customer_id", settings.control_salt, settings.holdout_share),
        "control": "list_contains(assigned, 'control')",
    }


def _draw_file(settings: Settings, audience: Audience) -> Path:
    return settings.assignments_dir / f"{quote(audience.campaign, safe=' ')}.csv"


def _read_files(settings: Settings, con: duckdb.DuckDBPyConnection, audience: Audience) -> None:
    """Make the tables ``erased`` (customer_id) and ``assigned`` (customer_id, planned_group).

    A customer_id of then stands for everybody who has one of its records today.
    """
    con.execute("""
        create or replace temp table known_as as
        select distinct was.customer_id as was, now.customer_id
        from personal.restricted.customer_identity as was
        inner join (
            select record_kind, source_id, customer_id from personal.restricted.customer_identity
            where until_revision is null and valid_to = date '9999-12-31'
        ) as now using (record_kind, source_id)
        union select customer_id, customer_id from mart.dim_customer
    """)
    erasures = _read_list(con, settings.erasures_file, ("id",), settings.home)
    con.execute(f"""
        create or replace temp table erased as
        with listed as ({erasures})
        select known_as.customer_id from known_as inner join listed on known_as.was = listed.id
        union
        select accounts.customer_id from accounts inner join listed on accounts.source_id = listed.id
    """)
    drawn = _read_list(con, _draw_file(settings, audience), ("customer_id", "group"), settings.home)
    campaign = quote_text(audience.campaign)
    con.execute(f"""
        create or replace temp table assigned as
        select known_as.customer_id, drawn."group" as planned_group
        from ({drawn}) as drawn inner join known_as on drawn.customer_id = known_as.was
        union
        select customer_id, 'control' from mart.fct_campaign_messages where is_control and campaign_id = {campaign}
    """)


def _read_list(con: duckdb.DuckDBPyConnection, file: Path, columns: tuple[str, ...], home: Path) -> str:
    """SQL of some columns of a CSV file with a header, every value given; without a row where there is no file."""
    if not file.exists():
        return no_rows(dict.fromkeys(columns, "varchar"))
    wanted = ", ".join(f'"{c}"' for c in columns)
    query = f"select {wanted} from read_csv({quote_text(file)}, header = true, all_varchar = true, delim = ',', quote = '\"')"
    is_empty = " or ".join(f"coalesce(trim(\"{c}\"), '') = ''" for c in columns)
    shown = file.relative_to(home) if file.is_relative_to(home) else file
    try:
        empty = con.execute(
            f"select min(n) from (select row_number() over () as n, {wanted} from ({query})) where {is_empty}"
        ).fetchall()[0][0]
    except duckdb.Error as error:
        raise ExportError(
            f"{shown} cannot be read: it is CSV with the header {','.join(columns)} ({str(error).splitlines()[0]})"
        ) from None
    if empty is not None:
        raise ExportError(f"{shown}, line {empty + 1}: {' and '.join(columns)} must be given")
    return query
