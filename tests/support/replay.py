"""Builds of the mart at the price of their SQL: the statements that dbt sent for a build, recorded once, sent again.

A dbt call costs seconds whatever the rows; a property test makes hundreds of builds of a few dozen rows each. What dbt sends for a
whole build, for one of touched keys and for one of touched keys that closes a month does not depend on the rows, so it is recorded
from three real dbt calls.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import attribution, dbt_runner, identity, raw_zone, warehouse
from orchestration.contracts import Contract
from orchestration.settings import Settings
from orchestration.warehouse import DATAMART, RESTRICTED, WAREHOUSE

#: Models in Python send no statements. They read finished facts and are whole each night; the one that attribution follows is made here.
_WITHOUT_PYTHON = (
    "--exclude",
    "int_ltv_backtested+",
    "int_ltv_estimated+",
    "int_ltv_findings+",
    "int_campaign_effects+",
    "int_loyalty_effects+",
    "int_kpi_restatements+",
)


@dataclass(frozen=True)
class Recording:
    """The statements of each kind of build, and build databases that hold the seeds."""

    seeded: Path
    whole: Sequence[str]
    touched: Sequence[str]
    closing: Sequence[str]


def record(settings: Settings, contracts: Mapping[str, Contract]) -> Recording:
    """Run dbt over a raw zone that holds at least one delivery: from nothing, over what is there, as if a month closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIDELIS_DBT_THREADS", "1")  # for as long as this takes
        settings = settings.model_copy(update={"dbt_threads": 1})
        settings.export()
        warehouse.prepare(settings, contracts)
        _dbt(settings, "seed")
        seeded = settings.home / "seeded"
        shutil.copytree(settings.warehouse_dir, seeded)
        statements = []
        for is_whole, closes_month in ((True, False), (False, False), (False, True)):
            identify(settings, contracts)
            plan = warehouse.prepare(settings, contracts)
            assert plan.is_whole == is_whole
            with warehouse.connect_file(settings, settings.warehouse_dir / WAREHOUSE, read_only=False) as con:
                con.execute("update control.build_plan set closes_month = ?", [closes_month])
            statements.append(_dbt(settings, "run", *_WITHOUT_PYTHON, *(["--full-refresh"] if is_whole else [])))
            warehouse.finish(settings, plan)
    return Recording(seeded, *statements)


def identify(settings: Settings, contracts: Mapping[str, Contract]) -> None:
    """The registry of what is in the raw zone now, as a night has it before dbt starts."""
    as_of_date = max(raw_zone.loaded_days(settings, contracts), default=settings.first_day)
    identity.build(settings, contracts, as_of_date)


def _dbt(settings: Settings, *command: str) -> list[str]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    sent: list[str] = []

    def listen(event: Any) -> None:
        # What is written, without its questions, comments and transactions: each statement is a transaction of its own here, and a
        # build that stops leaves no less behind.
        if event.info.name == "SQLQuery":
            statement = event.data.sql.split("*/", 1)[-1].strip()
            if statement.lower().startswith(("create", "insert", "delete", "drop", "alter")):
                sent.append(statement)

    try:
        result = dbtRunner(callbacks=[listen]).invoke(
            ["--log-level", "none", *command, *dbt_runner.arguments(settings)]
        )
    finally:
        DuckDBConnectionManager.close_all_connections()
    assert result.success, result.exception or [r.message for r in result.result if r.status == "error"]
    assert sent or command[0] == "seed", "dbt told nobody what it ran"
    return sent


def build(
    settings: Settings,
    contracts: Mapping[str, Contract],
    recording: Recording,
    *,
    whole: bool = False,
    stop_after: float | None = None,
) -> bool:
    """One build of all models; stopped after that share of its statements, as by a kill, if asked. Returns whether it was whole."""
    identify(settings, contracts)
    plan = warehouse.prepare(settings, contracts, whole=whole)
    if plan.is_whole:
        warehouse.reset(settings)
        shutil.copytree(recording.seeded, settings.warehouse_dir, dirs_exist_ok=True)
        plan = warehouse.prepare(settings, contracts, whole=True)
    with _connected(settings) as con:
        closes_month = con.execute("select closes_month from control.build_plan").fetchall()[0][0]
        statements = recording.whole if plan.is_whole else recording.closing if closes_month else recording.touched
        for statement in statements[: None if stop_after is None else int(len(statements) * stop_after)]:
            if 'rename to "int_channel_effects"' in statement:
                effects = attribution.removal_effects_table(con.table("intermediate.int_channel_transitions"))
                con.register("effects", effects)
                con.execute("create or replace table intermediate.int_channel_effects__dbt_tmp as from effects")
            con.execute(statement)
    if stop_after is None:
        warehouse.finish(settings, plan)
    return plan.is_whole


@contextmanager
def _connected(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = settings.warehouse_dir
    with duckdb.connect(str(folder / WAREHOUSE), config={"threads": 1}) as con:
        con.execute("set TimeZone = 'UTC'")
        for file, alias in ((DATAMART, "datamart"), (RESTRICTED, "personal")):
            con.execute(f"attach '{folder / file}' as {alias}")
        yield con


def content(settings: Settings) -> dict[str, tuple[int, str]]:
    """Rows and checksum of every published table and of what Python's models read, as built; what was known when is of the runs."""
    found = {}
    with _connected(settings) as con:
        tables = con.execute(
            "select database_name || '.' || schema_name || '.' || table_name from duckdb_tables() "
            "where database_name in ('datamart', 'personal') and table_name <> 'customer_identity' "
            "or table_name in ('int_ltv_customers', 'int_ltv_order_days')"
        ).fetchall()
        for (table,) in tables:
            found[table] = (
                con.execute(f"select count(*) from {table}").fetchall()[0][0],
                warehouse.checksum(con, table),
            )
    return found


def unbalanced(settings: Settings) -> list[tuple[Any, ...]]:
    """The lines of the account, as built, that do not balance."""
    with _connected(settings) as con:
        return con.execute("from datamart.mart.audit_reconciliation where difference <> 0").fetchall()


def differences(
    settings: Settings, other: Settings, show: Callable[[str], bool] = bool
) -> dict[str, list[tuple[Any, ...]]]:
    """The first rows of each published table that only one of two builds has."""
    ours, theirs = content(settings), content(other)
    different = [t for t in sorted(ours.keys() | theirs.keys()) if ours.get(t) != theirs.get(t) and show(t)]
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in different:
        database, relation = table.split(".", 1)
        file = {"datamart": DATAMART, "personal": RESTRICTED}.get(database, WAREHOUSE)
        with duckdb.connect() as con:
            con.execute(f"attach '{settings.warehouse_dir / file}' as one (read_only)")
            con.execute(f"attach '{other.warehouse_dir / file}' as two (read_only)")
            for a, b in (("one", "two"), ("two", "one")):
                rows = con.execute(
                    f"select * from {a}.{relation} except all select * from {b}.{relation} limit 3"
                ).fetchall()
                found.setdefault(table, []).extend((a, *row) for row in rows)
    return found
