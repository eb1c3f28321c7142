"""Table ``kpi_restatements`` of the release to come: that of the published release, and what is different from it now.

Called by dbt's Python model ``int_kpi_restatements``. Nothing else is kept anywhere: a release carries the restatements of all before it.
"""

from datetime import date
from typing import TYPE_CHECKING, Any

from orchestration import raw_zone, releases
from orchestration.contracts import load_contracts
from orchestration.restatements.causes import find_causes
from orchestration.restatements.compare import (
    BASE,
    FIGURE,
    PUBLISHED,
    TABLES,
    Built,
    attach,
    changed_figures,
    columns_of,
    detach,
)
from orchestration.restatements.snapshots import RETURN
from orchestration.restatements.steps import LINE, ORDER
from orchestration.settings import load_settings

if TYPE_CHECKING:
    import duckdb

COLUMNS = {
    "table_name": "varchar",
    "period_start": "date",
    "channel_id": "varchar",
    "metric": "varchar",
    "old_value": FIGURE,
    "new_value": FIGURE,
    "cause": "varchar",
    "effect": FIGURE,
    "release_id": "varchar",
    "previous_release_id": "varchar",
    "as_of_date": "date",
}
#: What a published release must have to be walked to today's.
_NEEDED = {"fct_orders": ORDER, "fct_order_lines": LINE, "fct_returns": RETURN, **dict.fromkeys(TABLES, BASE)}


def restated(
    con: "duckdb.DuckDBPyConnection", run_parameters: Any, rfm_window_months: int, built: Built | None = None
) -> Any:
    """All restatements as an Arrow table of ``COLUMNS``, those of the release to come among them; ``con`` has the mart as built.

    ``rfm_window_months``: calendar months that RFM's frequency and monetary look back on, 0 = all.
    """
    settings, built = load_settings(), built or Built()
    as_of_date: date = run_parameters.project("as_of_date").fetchall()[0][0]
    published = releases.current(settings)
    if published is None:
        return con.sql(_table("(select 1) where false", {})).to_arrow_table()
    contracts = load_contracts(settings.contracts)
    has_persons = attach(con, published)
    try:
        parts = []
        if columns_of(con, f"{PUBLISHED}.mart.kpi_restatements"):
            parts.append(f"select {', '.join(COLUMNS)} from {PUBLISHED}.mart.kpi_restatements")
        if changed_figures(con, published.as_of_date, built.mart):
            rules_changed = published.basis != releases.basis(settings, contracts)
            if _has_facts(con):
                _show_deliveries(con, published, raw_zone.fingerprints(settings, contracts))
                find_causes(
                    con,
                    built,
                    rules_changed=rules_changed,
                    has_persons=has_persons,
                    rfm_window_months=rfm_window_months,
                )
                effects = "effects"
            else:
                # a release of other tables: its orders cannot be walked to today's
                effects = "(select *, 'rule_change' as cause, coalesce(new_value, 0) - coalesce(old_value, 0) as effect from changed)"
            parts.append(
                _table(
                    effects,
                    {
                        "release_id": f"'{releases.next_id(settings, as_of_date)}'",
                        "previous_release_id": f"'{published.release_id}'",
                        "as_of_date": f"date '{as_of_date}'",
                    },
                )
            )
        parts.append(_table("(select 1) where false", {}))
        return con.sql(" union all ".join(parts)).to_arrow_table()
    finally:
        detach(con)


def _table(source: str, known: dict[str, str]) -> str:
    """SQL of ``COLUMNS``, typed; a column is ``known``, or of the source's name, or null where the source has no row."""
    empty = source.endswith("where false")
    values = {c: known.get(c, "null" if empty else c) for c in COLUMNS}
    return f"select {', '.join(f'cast({values[c]} as {kind}) as {c}' for c, kind in COLUMNS.items())} from {source}"


def _has_facts(con: "duckdb.DuckDBPyConnection") -> bool:
    """Whether the published release has the columns that causes are found in."""
    return all(columns_of(con, f"{PUBLISHED}.mart.{table}") >= set(columns) for table, columns in _NEEDED.items())


def _show_deliveries(
    con: "duckdb.DuckDBPyConnection", published: releases.Release, now: dict[str, dict[str, str]]
) -> None:
    """Table ``changed_deliveries``: days of tables whose accepted delivery is not the one that the release was built from."""
    before = published.deliveries
    days = [
        (table, date.fromisoformat(day))
        for table in sorted({*now, *before})
        for day in sorted({day for day, _ in now.get(table, {}).items() ^ before.get(table, {}).items()})
    ]
    con.execute("create or replace temp table changed_deliveries (table_name varchar, delivery_date date)")
    if days:
        tables, dates = (list(column) for column in zip(*days, strict=True))
        con.execute("insert into changed_deliveries select unnest($1), unnest($2)", [tables, dates])
