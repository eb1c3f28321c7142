"""A published release made by hand, with what the gate of audiences asks: a few customers, their consents, messages and reactions."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.activation import Audience, load_audience
from orchestration.releases import Release
from orchestration.settings import Settings

AS_OF = date(2024, 3, 31)
FOREVER = date(9999, 12, 31)
MEDIA = ("email", "sms", "mail", "profiling")

_MART = """
create schema mart;
create table mart.dim_customer (customer_id varchar, valid_from date, valid_to date, is_current boolean, country varchar,
    consent_email boolean, consent_sms boolean, consent_mail boolean, consent_profiling boolean);
create table mart.customer_rfm (customer_id varchar, segment varchar, recency_days int, frequency int, monetary decimal(18, 2));
create table mart.customer_value (customer_id varchar, as_of_date date, value_12m_net decimal(18, 2));
create table mart.customer_ltv (customer_id varchar, p_alive double, expected_orders_12m double, predicted_value_12m decimal(18, 2),
    expected_next_order_date date, churn_risk varchar, value_tier varchar);
create table mart.fct_campaign_messages (message_id varchar, campaign_id varchar, customer_id varchar, medium varchar, sent_date date,
    is_control boolean);
create table mart.fct_campaign_reactions (message_id varchar, customer_id varchar, reaction_type varchar, bounce_type varchar,
    reaction_date date);
"""
_PERSONAL = """
create schema personal.restricted;
create table personal.restricted.customer_contact (customer_id varchar, email varchar, email_source varchar, phone varchar,
    phone_source varchar, country varchar, first_name varchar, last_name varchar, street varchar,
    street_source varchar, postal_code varchar, city varchar);
create table personal.restricted.customer_identity (record_kind varchar, source_id varchar, customer_id varchar, until_revision bigint,
    valid_to date);
"""


@dataclass(frozen=True)
class Message:
    """A message to a customer with its reactions: (kind, bounce type, day)."""

    campaign: str = "SPRING"
    medium: str | None = "email"
    sent: date = date(2024, 1, 10)
    is_control: bool = False
    reactions: tuple[tuple[str, str | None, date], ...] = ()


@dataclass(frozen=True)
class Person:
    """A customer: what they agree to now, since when (the state before was the opposite of all), how they are reached."""

    id: str
    email: str | None = None
    phone: str | None = None
    consents: frozenset[str] = frozenset(MEDIA)
    since: date | None = None
    segment: str = "champion"
    value: float = 100
    country: str | None = "FR"
    last_name: str = "Martin"
    street: str | None = "1 rue Haute"
    messages: tuple[Message, ...] = ()
    #: customers that the person's account was of before
    was: tuple[str, ...] = field(default=())

    @property
    def account(self) -> str:
        return f"A-{self.id}"


@contextmanager
def mart_in(folder: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables, empty where they are new, in the files of a release, or (None) in memory."""
    datamart, personal = ":memory:", ":memory:"
    if folder is not None:
        (folder / "restricted").mkdir(parents=True, exist_ok=True)
        datamart, personal = str(folder / "datamart.duckdb"), str(folder / "restricted" / "personal.duckdb")
    is_new = folder is None or not Path(datamart).exists()
    with duckdb.connect(datamart) as con:
        con.execute(f"attach '{personal}' as personal")
        if is_new:
            con.execute(_MART + _PERSONAL)
        yield con


def fill(con: duckdb.DuckDBPyConnection, people: Iterable[Person], as_of: date = AS_OF) -> None:
    """Put these people, and nobody else, into the tables of ``mart_in``."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        **{
            f"mart.{t}": []
            for t in (
                "dim_customer",
                "customer_rfm",
                "customer_value",
                "fct_campaign_messages",
                "fct_campaign_reactions",
            )
        },
        **{f"personal.restricted.{t}": [] for t in ("customer_contact", "customer_identity")},
    }
    for p in people:
        now = tuple(m in p.consents for m in MEDIA)
        if p.since is not None:
            before = tuple(not agreed for agreed in now)
            rows["mart.dim_customer"].append((p.id, date(1900, 1, 1), p.since, False, p.country, *before))
        rows["mart.dim_customer"].append((p.id, p.since or date(1900, 1, 1), FOREVER, True, p.country, *now))
        rows["mart.customer_rfm"].append((p.id, p.segment, 5, 4, p.value))
        rows["mart.customer_value"].append((p.id, as_of, p.value))
        name = ("Anne", p.last_name, p.street, p.account, "75001", "Paris")
        rows["personal.restricted.customer_contact"].append(
            (p.id, p.email, p.account, p.phone, p.account, p.country, *name)
        )
        identities = [
            ("account", p.account, p.id, None, FOREVER),
            *(("account", p.account, old, 2, FOREVER) for old in p.was),
        ]
        rows["personal.restricted.customer_identity"] += identities
        for i, m in enumerate(p.messages):
            key = f"M-{p.id}-{i}"
            rows["mart.fct_campaign_messages"].append((key, m.campaign, p.id, m.medium, m.sent, m.is_control))
            rows["mart.fct_campaign_reactions"] += [(key, p.id, kind, bounce, day) for kind, bounce, day in m.reactions]
    for table, lines in rows.items():
        con.execute(f"begin; delete from {table}")
        if lines:
            columns = [list(column) for column in zip(*lines, strict=True)]
            con.execute(
                f"insert into {table} select {', '.join(f'unnest(${i + 1})' for i in range(len(columns)))}", columns
            )
        con.execute("commit")


def release_of(folder: Path, people: Iterable[Person], as_of: date = AS_OF, number: int = 1) -> Release:
    """A release of these people; made anew where the folder holds one."""
    with mart_in(folder) as con:
        fill(con, people, as_of)
    return Release(f"{as_of:%Y%m%d}-{number:04d}", folder, as_of, datetime.now(UTC), "test", {}, {}, "", "")


def audience_in(folder: Path, name: str = "champions", **changes: Any) -> Audience:
    """An audience of all champions by e-mail, its file written and read."""
    folder.mkdir(parents=True, exist_ok=True)
    said: dict[str, Any] = {
        "description": "Champions.", "purpose": "marketing", "medium": "email", "campaign": "SPRING", "where": "segment = 'champion'",
        "frequency_cap": "none", **changes,
    }  # fmt: skip
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump({k: v for k, v in said.items() if v is not None}))
    return load_audience(file)


def assign_in(settings: Settings, campaign: str, groups: Mapping[str, str]) -> None:
    """A kept draw of a campaign."""
    settings.assignments_dir.mkdir(parents=True, exist_ok=True)
    lines = [f"{campaign},{customer},champion,{group}" for customer, group in groups.items()]
    (settings.assignments_dir / f"{campaign}.csv").write_text(
        "\n".join(["campaign_id,customer_id,segment,group", *lines]) + "\n"
    )


def erase_in(settings: Settings, *ids: str) -> None:
    """The list of those who asked to be erased."""
    settings.erasures_file.parent.mkdir(parents=True, exist_ok=True)
    settings.erasures_file.write_text("\n".join(["id", *ids]) + "\n")


def members(folder: Path, name: str = "full") -> list[tuple[Any, ...]]:
    """Rows of a set of an export, as Parquet has them."""
    with duckdb.connect() as con:
        return con.execute("select * from read_parquet($1)", [str(folder / f"{name}.parquet")]).fetchall()
