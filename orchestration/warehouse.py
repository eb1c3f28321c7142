"""The private build database: ``warehouse.duckdb`` and the two files that the marts are built into.

dbt writes staging and intermediate tables into ``warehouse.duckdb``, the marts into the attached
``datamart.duckdb`` and what names a person into ``personal.duckdb``; publishing is then a plain copy of
closed files. Every connection of the process to these files has the same settings: DuckDB refuses a second
configuration of an open file.
"""

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration import accounting, activation_files, identity_files, raw_zone
from orchestration.build_plan import BuildPlan, plan_build, remember_build
from orchestration.build_plan import is_finished as build_is_finished
from orchestration.contracts import Contract, default_contracts
from orchestration.rules import quote_name, quote_text
from orchestration.settings import Settings

WAREHOUSE = "warehouse.duckdb"
DATAMART = "datamart.duckdb"
RESTRICTED = "personal.duckdb"

#: No extension is fetched: a network that swallows packets would cost two minutes a statement.
OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}

#: Of a relation ``t``, whatever the order of its rows.
_CHECKSUM = "coalesce(cast(sum(cast(hash(t) as hugeint)) as varchar), '0')"


def _config(settings: Settings) -> dict[str, Any]:
    return {**OFFLINE, "threads": str(settings.threads), "memory_limit": settings.memory}


def _set_up(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("set TimeZone = 'UTC'")
    con.execute("set enable_progress_bar = false")


@contextmanager
def connect_scratch(settings: Settings, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills into ``folder``; gone when closed."""
    con = duckdb.connect(config={**_config(settings), "temp_directory": str(folder / "spill")})
    try:
        _set_up(con)
        yield con
    finally:
        con.close()


@contextmanager
def connect_file(settings: Settings, file: Path, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """One database file, closed on leaving whatever happens."""
    con = duckdb.connect(str(file), read_only=read_only, config=_config(settings))
    try:
        _set_up(con)
        yield con
    finally:
        con.close()


@contextmanager
def connect_built(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """What dbt built, read-only, under dbt's names: the build database and the files of the marts."""
    with connect_file(settings, settings.warehouse_dir / WAREHOUSE) as con:
        for file in (settings.warehouse_dir / name for name in (DATAMART, RESTRICTED)):
            if file.exists():
                con.execute(f"attach {quote_text(file)} as {quote_name(file.stem)} (read_only)")
        yield con


@contextmanager
def connect_reader(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A release as a BI tool should open it: read-only, and unable to touch other files of the host."""
    con = duckdb.connect(
        str(file), read_only=True, config={**OFFLINE, "enable_external_access": "false", "lock_configuration": "true"}
    )
    try:
        yield con
    finally:
        con.close()


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load one of DuckDB's extensions from its wheel ``duckdb-extension-<name>``."""
    wheel = importlib.resources.files(f"duckdb_extension_{name}")
    file = Path(str(wheel)) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    con.execute(f"load {quote_text(file)}")


def _create(file: Path) -> None:
    """An empty build database in the newest storage format: a quarter cheaper to write than the one that older DuckDBs
    read, which the marts keep. A file remembers its format, whoever opens it.
    """
    with duckdb.connect(config={**OFFLINE}) as con:
        con.execute(f"attach {quote_text(file)} (storage_version 'latest')")


def reset(settings: Settings) -> None:
    """Remove the build database: the next run builds everything from the raw zone."""
    for name in (WAREHOUSE, DATAMART, RESTRICTED):
        for file in (settings.warehouse_dir / name, settings.warehouse_dir / f"{name}.wal"):
            file.unlink(missing_ok=True)


def prepare(settings: Settings, contracts: Mapping[str, Contract], *, code: str = "", whole: bool = False) -> BuildPlan:
    """Show dbt the raw zone as it is now, the parameters of the run, and what changed since the last finished build.

    Schema ``raw`` has one view per table of the mart's vocabulary, empty where the retailer has no such table;
    ``raw_changed`` the same of the deliveries that are new or changed, ``raw_unchanged`` of the others where they decide
    again. ``as_of_date`` is the last day of which a delivery was accepted (None: there is none yet), so that
    the mart depends on the raw zone and the settings alone, whatever the order of the runs.

    ``code`` is the version of the code that builds. Call :func:`finish` after a build of everything in which nothing
    failed; until then the next build is ``whole``, from nothing. So is it where a file of the marts was removed.
    """
    settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
    whole = whole or not _has_marts(settings)
    file = settings.warehouse_dir / WAREHOUSE
    if not file.exists():
        _create(file)
    with connect_file(settings, file, read_only=False) as con:
        con.execute("begin")
        for schema in ("raw", "raw_changed", "raw_unchanged", "control"):
            con.execute(f"create schema if not exists {schema}")
        plan = plan_build(settings, contracts, con, code=code, whole=whole)
        for table, default in default_contracts().items():
            contract, days = contracts.get(table, default), set(plan.delivered.get(table, ()))
            changed = days & plan.changed.get(table, set())
            unchanged = days - changed if table in plan.reads_older else set()
            for schema, shown in (("raw", days), ("raw_changed", changed), ("raw_unchanged", unchanged)):
                query = raw_zone.relation(settings, contract, shown)
                con.execute(f"create or replace view {schema}.{table} as {query}")
        con.execute(
            "create or replace table control.run_parameters (as_of_date date, business_timezone varchar, reporting_currency varchar)"
        )
        con.execute(
            "insert into control.run_parameters values (?, ?, ?)",
            [plan.as_of_date or settings.first_day, settings.timezone, settings.currency],
        )
        con.execute(
            "create or replace table control.source_tables (table_name varchar, is_present boolean, delivery_mode varchar, "
            "prices_include_tax boolean, is_changed boolean, reads_older_deliveries boolean)"
        )
        con.executemany(
            "insert into control.source_tables values (?, ?, ?, ?, ?, ?)",
            [
                (
                    table,
                    table in contracts,
                    contracts.get(table, default).mode,
                    contracts.get(table, default).prices_include_tax,
                    bool(plan.changed.get(table)),
                    table in plan.reads_older,
                )
                for table, default in default_contracts().items()
            ],
        )
        accounting.show_deliveries(con, settings, contracts)
        con.execute("create schema if not exists activation")
        con.execute(f"create or replace view activation.planned_actions as {activation_files.relation(settings)}")
        con.execute("create schema if not exists identity")
        for table in ("identities", "history"):
            con.execute(f"create or replace view identity.{table} as {identity_files.relation(settings, table)}")
        con.execute("commit")
    return plan


def _has_marts(settings: Settings) -> bool:
    return all((settings.warehouse_dir / name).exists() for name in (DATAMART, RESTRICTED))


def finish(settings: Settings, plan: BuildPlan) -> None:
    """Take note that everything was built as planned, so that the next build may look at changed deliveries only."""
    with connect_file(settings, settings.warehouse_dir / WAREHOUSE, read_only=False) as con:
        remember_build(con, plan)


def is_finished(settings: Settings, contracts: Mapping[str, Contract]) -> bool:
    """Whether the build database holds all of what the raw zone holds now, built and tested."""
    file = settings.warehouse_dir / WAREHOUSE
    if not file.exists() or not _has_marts(settings):
        return False
    with connect_file(settings, file) as con:
        return build_is_finished(settings, contracts, con)


def figures(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, Any]:
    """Rows, the exact sum of each decimal column and the checksum of a relation, in one pass over it."""
    described = con.execute(f"describe {relation}").fetchall()
    decimals = [row[0] for row in described if row[1].startswith("DECIMAL")]
    sums = "".join(f"coalesce(cast(sum({quote_name(name)}) as varchar), '0'), " for name in decimals)
    row = con.execute(f"select count(*), {sums}{_CHECKSUM} from {relation} as t").fetchone()
    assert row is not None
    return dict(zip(["rows", *decimals, "checksum"], row, strict=True))


def checksum(con: duckdb.DuckDBPyConnection, relation: str) -> str:
    """A checksum of a relation's content that does not depend on the order of its rows."""
    row = con.execute(f"select {_CHECKSUM} from {relation} as t").fetchone()
    assert row is not None
    return str(row[0])


@dataclass(frozen=True)
class Relations:
    """Every table and view built, by dbt's quoted name: rows of tables, columns (name -> type) of both."""

    rows: Mapping[str, int]
    columns: Mapping[str, Mapping[str, str]]


def relations(settings: Settings) -> Relations:
    """What the build database holds now."""
    rows: dict[str, int] = {}
    columns: dict[str, dict[str, str]] = {}
    with connect_built(settings) as con:
        for *names, size in con.execute(
            "select database_name, schema_name, table_name, estimated_size from duckdb_tables()"
        ).fetchall():
            rows[_quoted(names)] = size
        for *names, column, column_type in con.execute(
            "select database_name, schema_name, table_name, column_name, data_type "
            "from duckdb_columns() where not internal"
        ).fetchall():
            columns.setdefault(_quoted(names), {})[column] = column_type
    return Relations(rows, columns)


def account(settings: Settings) -> dict[str, str]:
    """The account of every row and sum as built, as Markdown by the name of the test that holds it."""
    file = settings.warehouse_dir / DATAMART
    if not file.exists():
        return {}
    with connect_file(settings, file) as con:
        return accounting.reports(con)


def _quoted(names: Sequence[str]) -> str:
    return ".".join(quote_name(name) for name in names)
