"""The profile of each delivery day: one pass over the freshly written Parquet, grouped by day.

The quality gate judges the profile, never the rows again: rows, violations of each rule, nulls, ranges and
quantiles of numbers, shares per allowed value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration.contracts import Column, Contract
from orchestration.rules import MALFORMED, quote_name, quote_text

_PRIVATE = ("personal", "direct_identifier", "sensitive")


@dataclass(frozen=True)
class DayProfile:
    """Figures of one delivery day; ``columns`` holds nulls, ranges and shares by column name."""

    rows: int
    bad_rows: int
    violations: Mapping[str, int]
    columns: Mapping[str, Any]


def staged_relation(staged: Path) -> str:
    """SQL of all rows staged so far."""
    return f"read_parquet({quote_text(staged / '*' / '*.parquet')}, hive_partitioning=false)"


def measures(column: Column) -> dict[str, str]:
    """Name -> aggregate SQL of what is measured of a column."""
    name = quote_name(column.name)
    measured = {"nulls": f"count(*) - count({name})"}
    if column.classification in _PRIVATE:
        return measured
    if column.logical_type in ("number", "integer"):
        measured |= {
            "minimum": f"cast(min({name}) as double)",
            # of a decimal, approx_quantile gives a whole number
            "median": f"approx_quantile(cast({name} as double), 0.5)",
            "maximum": f"cast(max({name}) as double)",
        }
    if column.logical_type in ("date", "timestamp"):
        measured |= {"minimum": f"cast(min({name}) as varchar)", "maximum": f"cast(max({name}) as varchar)"}
    allowed = [rule.violation for rule in column.rules if rule.name == f"{column.name}_allowed"]
    if allowed or column.logical_type == "boolean":
        # a value that is not allowed may be anything, a shifted column's address too: it is counted, not shown
        category = f"case when {allowed[0]} then 'not allowed' else {name} end" if allowed else name
        measured["categories"] = f"cast(to_json(histogram(cast({category} as varchar))) as varchar)"
    return measured


def profile(
    con: duckdb.DuckDBPyConnection, contract: Contract, staged: Path, error_mask: int
) -> dict[date, DayProfile]:
    """Profile the staged rows of each delivery day; days without a row are absent."""
    import json

    if not any(staged.glob("*/*.parquet")):
        return {}
    rules = [*(rule.name for rule in contract.rules), MALFORMED]
    counts = [f"count(*) filter (where _violations & {1 << i} <> 0)" for i in range(len(rules))]
    measured = [(c.name, label, sql) for c in contract.columns if c.captured for label, sql in measures(c).items()]
    # rows that no rule touches are the usual case: the ~50 filters are evaluated on the others only
    totals = con.execute(
        f"select _delivery_date, count(*), {', '.join(sql for _, _, sql in measured)} "
        f"from {staged_relation(staged)} group by _delivery_date"
    ).fetchall()
    broken = {
        row[0]: row[1:]
        for row in con.execute(
            f"select _delivery_date, count(*) filter (where _violations & {error_mask} <> 0), {', '.join(counts)} "
            f"from {staged_relation(staged)} where _violations <> 0 group by _delivery_date"
        ).fetchall()
    }
    profiles = {}
    for day, rows, *figures in totals:
        columns: dict[str, dict[str, Any]] = {}
        for (name, label, _), figure in zip(measured, figures, strict=True):
            columns.setdefault(name, {})[label] = json.loads(figure or "{}") if label == "categories" else figure
        bad, *per_rule = broken.get(day, (0, *([0] * len(rules))))
        violations = {rule: count for rule, count in zip(rules, per_rule, strict=True) if count}
        profiles[day] = DayProfile(rows, bad, violations, columns)
    return profiles


def sums(con: duckdb.DuckDBPyConnection, contract: Contract, files: str) -> dict[date, dict[str, dict[str, str]]]:
    """Rows, and the exact sum of each number, that a relation of accepted ``files`` holds, by day and currency.

    Counted in the files as they go into the raw zone, after bad and repeated rows are out, so that it is a figure of
    its own beside the row accounting. The currency is '' where the table has none or a row names none.
    """
    captured = [c for c in contract.columns if c.captured]
    numbers = [c.name for c in captured if c.logical_type == "number" and c.classification not in _PRIVATE]
    currency = "coalesce(currency, '')" if any(c.name == "currency" for c in captured) else "''"
    totals = ", ".join(["count(*)", *(f"sum({quote_name(name)})" for name in numbers)])
    found: dict[date, dict[str, dict[str, str]]] = {}
    for day, code, *figures in con.execute(
        f"select _delivery_date, {currency} as code, {totals} from {files} group by all order by all"
    ).fetchall():
        named = zip(["rows", *numbers], figures, strict=True)
        found.setdefault(day, {})[code] = {name: str(figure or 0) for name, figure in named}
    return found
