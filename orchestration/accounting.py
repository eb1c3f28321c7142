"""The account of every row from the delivered files to the marts.

What was read, loaded and left out of each delivery is in the raw zone's index; dbt is shown it as two tables, and the
model ``audit_reconciliation`` carries it on through staging and the facts to the marts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from orchestration import profiling, raw_zone
from orchestration.contracts import Contract
from orchestration.raw_zone import Partition
from orchestration.rules import quote_text
from orchestration.settings import Settings

_COUNTS = (
    "rows_read",
    "rows_loaded",
    "rows_quarantined",
    "rows_duplicate",
    "rows_elsewhere",
    "rows_refused",
    "rows_held",
)
_SHOWN_LINES = 60


def show_deliveries(con: duckdb.DuckDBPyConnection, settings: Settings, contracts: Mapping[str, Contract]) -> None:
    """Write ``control.raw_deliveries`` (the counts of each table and day) and ``control.raw_sums`` (what its files hold).

    Both are read from the raw zone's index, so that the account of three years needs none of their files.
    """
    deliveries: list[tuple[Any, ...]] = []
    sums: list[tuple[Any, ...]] = []
    for table, contract in contracts.items():
        partitions = raw_zone.partitions(settings, table)
        uncounted = [p for p in partitions.values() if p.data and not p.held]
        counted = _count(con, settings, contract, uncounted)
        for day, partition in partitions.items():
            deliveries.append((table, day, partition.loaded, *(getattr(partition, name) for name in _COUNTS)))
            for currency, measures in (partition.held or counted.get(day, {})).items():
                sums += [(table, day, currency or None, name, value) for name, value in measures.items()]
    columns = ", ".join(f"{name} bigint" for name in _COUNTS)
    con.execute(
        f"create or replace table control.raw_deliveries "
        f"(table_name varchar, delivery_date date, is_accepted boolean, {columns})"
    )
    con.execute(
        "create or replace table control.raw_sums (table_name varchar, delivery_date date, currency varchar, "
        "measure varchar, amount decimal(38, 8))"
    )
    _insert(con, "control.raw_deliveries", deliveries)
    _insert(con, "control.raw_sums", sums)


def _count(
    con: duckdb.DuckDBPyConnection, settings: Settings, contract: Contract, partitions: Sequence[Partition]
) -> Mapping[Any, Mapping[str, Mapping[str, str]]]:
    """What the files of days hold that were loaded before the index said so."""
    files = [quote_text(settings.raw_dir / contract.table / name) for p in partitions for name in p.data]
    return profiling.sums(con, contract, f"read_parquet([{', '.join(files)}])") if files else {}


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """All rows by one statement: row by row, a thousand days of thirteen tables take seconds."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        con.execute(
            f"insert into {table} select {', '.join(f'unnest(${i + 1})' for i in range(len(columns)))}", columns
        )


def reports(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """``audit_reconciliation`` of a datamart as Markdown, by the name of the test of each step.

    The lines that do not balance come first. Empty where it has not been built. Counts and sums, nothing of a person.
    """
    columns = con.execute(
        "select column_name from duckdb_columns() where table_name = 'audit_reconciliation'"
    ).fetchall()
    if ("left_value",) not in columns:
        return {}
    found = con.execute(
        "select step, table_name, measure, currency, left_value, right_value, excluded_value, difference "
        "from mart.audit_reconciliation order by step, difference = 0, table_name, measure, currency"
    ).fetchall()
    lines: dict[str, list[str]] = {}
    for step, table, measure, currency, *values in found:
        cells = [table, measure, currency or "", *(f"{value.normalize():,f}" for value in values)]
        lines.setdefault(step, []).append("| " + " | ".join(cells) + " |")
    return {f"account_{step}": _markdown(step, rows) for step, rows in lines.items()}


def _markdown(step: str, rows: Sequence[str]) -> str:
    left, right = step.split("_to_")
    head = [
        f"| table | measure | currency | {left} | {right} | left out, named | difference |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    more = [f"\n{len(rows) - _SHOWN_LINES} more lines in `audit_reconciliation`"] if len(rows) > _SHOWN_LINES else []
    return "\n".join([*head, *rows[:_SHOWN_LINES], *more])
