"""What the next build has to look at: everything, or the deliveries that differ from those of the last finished build.

The build database remembers which files each delivery day had when a build last finished, and on what basis (code, settings,
tables). The memory is dropped when a build begins and written when it is finished, so that a build that was killed or failed
is followed by a whole one.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from orchestration import raw_zone
from orchestration.contracts import Contract, default_contracts
from orchestration.settings import Settings

#: Delivery days of a table, each with the names of its files: a day that is loaded again has other files.
Delivered = Mapping[date, str]


@dataclass(frozen=True)
class BuildPlan:
    """How the next build goes: as of which day, from nothing or not, and the delivery days that changed, by table."""

    as_of_date: date | None
    is_whole: bool
    #: whether a month is over that was not in the last build
    closes_month: bool
    delivered: Mapping[str, Delivered]
    changed: Mapping[str, Set[date]]
    #: tables of which a day before the last one changed: their older deliveries decide again
    reads_older: Set[str]
    basis: str


def plan_build(
    settings: Settings, contracts: Mapping[str, Contract], con: duckdb.DuckDBPyConnection, *, code: str, whole: bool
) -> BuildPlan:
    """Decide on the next build, and forget the last one; ``con`` is open on the build database, inside a transaction.

    The build is whole where asked for, and where the last one did not finish, was made by other ``code``, under other settings or
    for a later day.
    """
    as_of_date = max(raw_zone.loaded_days(settings, contracts), default=None)
    delivered = {table: _delivered(settings, table, as_of_date) for table in default_contracts() if table in contracts}
    basis = _basis(settings, contracts, code)
    con.execute("create table if not exists control.last_build (as_of_date date, basis varchar)")
    con.execute(
        "create table if not exists control.last_deliveries (table_name varchar, delivery_date date, files varchar)"
    )
    last = con.execute("select as_of_date, basis from control.last_build").fetchone()
    con.execute("delete from control.last_build")
    is_whole = (
        whole or last is None or last[1] != basis or as_of_date is None or last[0] is None or as_of_date < last[0]
    )
    last_day = None if is_whole or last is None else last[0]
    closes_month = last_day is not None and as_of_date is not None and _open_month(last_day) != _open_month(as_of_date)
    con.execute(
        "create or replace table control.build_plan (is_whole boolean, last_as_of_date date, closes_month boolean)"
    )
    con.execute("insert into control.build_plan values (?, ?, ?)", [is_whole, last_day, closes_month])
    built: dict[str, dict[date, str]] = {}
    if not is_whole:
        for table, day, files in con.execute("select * from control.last_deliveries").fetchall():
            built.setdefault(table, {})[day] = files
    changed = {
        table: {day for day, _ in days.items() ^ built.get(table, {}).items()} for table, days in delivered.items()
    }
    reads_older = {t for t, days in changed.items() if days and t in built and min(days) <= max(built[t])}
    con.execute("create or replace table control.changed_deliveries (table_name varchar, delivery_date date)")
    _insert(con, "changed_deliveries", [(table, day) for table, days in changed.items() for day in sorted(days)])
    return BuildPlan(as_of_date, is_whole, closes_month, delivered, changed, reads_older, basis)


def remember_build(con: duckdb.DuckDBPyConnection, plan: BuildPlan) -> None:
    """Take note that the planned build is finished, so that the next one need not be whole."""
    con.execute("begin")
    con.execute("delete from control.last_deliveries")
    rows = [(table, day, files) for table, days in plan.delivered.items() for day, files in days.items()]
    _insert(con, "last_deliveries", rows)
    con.execute("insert into control.last_build values (?, ?)", [plan.as_of_date, plan.basis])
    con.execute("commit")


def is_finished(settings: Settings, contracts: Mapping[str, Contract], con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the last build was finished, and of what the raw zone holds now; ``con`` is open on the build database."""
    tables = con.execute("select count(*) from duckdb_tables() where table_name = 'last_build'").fetchall()
    last = con.execute("select as_of_date from control.last_build").fetchone() if tables[0][0] else None
    if last is None:
        return False
    as_of_date = max(raw_zone.loaded_days(settings, contracts), default=None)
    now = {(t, day, f) for t in contracts for day, f in _delivered(settings, t, as_of_date).items()}
    return last[0] == as_of_date and now == set(con.execute("select * from control.last_deliveries").fetchall())


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """All rows in one statement: a history of years has tens of thousands of deliveries."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join(f"unnest(${i})" for i in range(1, len(columns) + 1))
        con.execute(f"insert into control.{table} select {values}", columns)


def _delivered(settings: Settings, table: str, as_of_date: date | None) -> dict[date, str]:
    known = raw_zone.partitions(settings, table).values()
    return {p.day: " ".join(p.data) for p in known if p.data and as_of_date is not None and p.day <= as_of_date}


def _open_month(day: date) -> date:
    """First day of the first month that is not over at the end of a day."""
    return (day + timedelta(days=1)).replace(day=1)


def _basis(settings: Settings, contracts: Mapping[str, Contract], code: str) -> str:
    """All that a mart depends on beside its deliveries and the day."""
    tables = {t: [c.mode, c.prices_include_tax, c.version] for t, c in sorted(contracts.items())}
    return json.dumps([code, duckdb.__version__, settings.timezone, settings.currency, tables])
