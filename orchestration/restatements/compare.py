"""The published figures beside those of the mart as built: which past ones differ, and whether the mart says so."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.releases import Release, current
from orchestration.rules import quote_text
from orchestration.settings import Settings
from orchestration.warehouse import DATAMART, RESTRICTED, connect_file

if TYPE_CHECKING:
    import duckdb

#: Tables of indicators, with the months of their periods.
TABLES = {"kpi_monthly": 1, "kpi_half_yearly": 6}
#: Figures that count or add up; every other is a ratio of these.
BASE = (
    "known_customers", "active_customers", "returning_customers", "next_period_active_customers", "orders",
    "identified_orders", "net_amount", "identified_net_amount", "margin_amount", "new_customers",
    "reactivated_customers", "sessions", "converting_sessions",
)  # fmt: skip
#: The ratios, as SQL over the base figures; null becomes 0 where they are compared.
RATIOS = {
    "activity_rate": "cast(active_customers as double) / nullif(known_customers, 0)",
    "repurchase_rate": "cast(returning_customers as double) / nullif(active_customers, 0)",
    "next_period_repurchase_rate": "cast(next_period_active_customers as double) / nullif(active_customers, 0)",
    "average_basket": "round(cast(net_amount as decimal(18, 2)) / nullif(cast(orders as bigint), 0), 2)",
    "purchase_frequency": "cast(orders as double) / nullif(active_customers, 0)",
    "identified_sales_share": "cast(identified_net_amount as decimal(18, 2)) / nullif(cast(net_amount as decimal(18, 2)), 0)",
    "conversion_rate": "cast(converting_sessions as double) / nullif(sessions, 0)",
}
METRICS = (*BASE, *RATIOS)
#: Past snapshots of customers, and what is compared of them: totals of a month end.
SNAPSHOTS = "customer_rfm_monthly"
TOTALS = {
    "customers": "count(*)",
    "frequency": "sum(frequency)",
    "monetary": "sum(monetary)",
    "recency_days": "sum(recency_days)",
}
#: Every table whose past is watched: the months of its periods, and its figures.
MONTHS = {**TABLES, SNAPSHOTS: 1}
FIGURES = {**dict.fromkeys(TABLES, METRICS), SNAPSHOTS: tuple(TOTALS)}
#: All figures in one exact type: differences of its values add up to the last digit.
FIGURE = "decimal(28, 10)"
#: The aliases under which the published files are attached.
PUBLISHED, PUBLISHED_PERSONS = "published", "published_persons"


@dataclass(frozen=True)
class Built:
    """Where the mart as built is: the qualified schemas of its tables."""

    mart: str = "datamart.mart"
    staging: str = "staging"
    intermediate: str = "intermediate"


def totals(schema: str) -> str:
    """SQL of the totals of each month's snapshot: period_start, channel_id (always null) and ``TOTALS``."""
    return (
        "(select cast(date_trunc('month', snapshot_date) as date) as period_start, null::varchar as channel_id, "
        f"{', '.join(f'{sql} as {name}' for name, sql in TOTALS.items())} from {schema}.{SNAPSHOTS} group by 1)"
    )


def figures(table: str, schema: str) -> str:
    """SQL of a watched table's figures, by period_start and channel_id."""
    return totals(schema) if table == SNAPSHOTS else f"{schema}.{table}"


def attach(con: "duckdb.DuckDBPyConnection", release: Release) -> bool:
    """Attach a release's files, read-only; whether its restricted file was there."""
    con.execute(f"attach if not exists {quote_text(release.datamart.resolve())} as {PUBLISHED} (read_only)")
    persons = release.folder.resolve() / "restricted" / RESTRICTED
    if not persons.exists():
        return False
    con.execute(f"attach if not exists {quote_text(persons)} as {PUBLISHED_PERSONS} (read_only)")
    return True


def detach(con: "duckdb.DuckDBPyConnection") -> None:
    """Let go of the release's files."""
    for alias in (PUBLISHED, PUBLISHED_PERSONS):
        con.execute(f"detach database if exists {alias}")


def columns_of(con: "duckdb.DuckDBPyConnection", relation: str) -> set[str]:
    """The columns of a table, none where there is no such table. DuckDB's own list of columns would open every file of the raw zone."""
    import duckdb

    try:
        return set(con.sql(f"select * from {relation} limit 0").columns)
    except duckdb.CatalogException:
        return set()


def changed_figures(con: "duckdb.DuckDBPyConnection", published_as_of: date, mart: str) -> bool:
    """Table ``changed``: table_name, period_start, channel_id, metric, old_value, new_value of the published past figures that differ.

    Past is a period that was over when it was published. A figure that was not there counts as 0, so that what merely appears (a channel
    without sales, a rate that is 0 and was none) is no change. Returns whether there is any.
    """
    parts = []
    for table, names in FIGURES.items():
        known = columns_of(con, figures(table, f"{PUBLISHED}.mart")) & columns_of(con, figures(table, mart))
        if known:
            parts.append(_compared(table, [m for m in names if m in known], mart, published_as_of))
    parts.append(  # gives the table its columns where a release of long ago has none of the figures
        "select null::varchar as table_name, null::date as period_start, null::varchar as channel_id, "
        f"null::varchar as metric, null::{FIGURE} as old_value, null::{FIGURE} as new_value where false"
    )
    con.execute(f"create or replace temp table changed as {' union all '.join(parts)}")
    return bool(con.execute("select count(*) from changed").fetchall()[0][0])


def _compared(table: str, metrics: list[str], mart: str, as_of: date) -> str:
    """SQL of the differing past figures of one table; those that look at the next period are past one period later."""

    def long(relation: str) -> str:
        columns = ", ".join(f"cast({m} as {FIGURE}) as {m}" for m in metrics)
        return (
            f"(from (select period_start, channel_id, {columns} from {relation}) "
            f"unpivot include nulls (value for metric in ({', '.join(metrics)})))"
        )

    return f"""
        select '{table}' as table_name, period_start, channel_id, metric, old_value, new_value
        from (
            select coalesce(o.period_start, n.period_start) as period_start, coalesce(o.channel_id, n.channel_id) as channel_id,
                coalesce(o.metric, n.metric) as metric, o.value as old_value, n.value as new_value
            from {long(figures(table, f"{PUBLISHED}.mart"))} as o
            full join {long(figures(table, mart))} as n
                on o.period_start = n.period_start and o.metric = n.metric and o.channel_id is not distinct from n.channel_id
        )
        where coalesce(old_value, 0) <> coalesce(new_value, 0)
            and period_start + to_months({MONTHS[table]} * if(starts_with(metric, 'next_period_'), 2, 1)) <= date '{as_of}' + 1
    """


def unexplained(settings: Settings, release_id: str) -> list[str]:
    """Published past figures that the mart as built changes under ``release_id`` without saying why to the last digit.

    Names of figures, at most ten; none where nothing was published yet. Held before each release.
    """
    release = current(settings)
    if release is None:
        return []
    with connect_file(settings, settings.warehouse_dir / DATAMART) as con:
        return _unexplained(con, release, release_id, f"{Path(DATAMART).stem}.mart")


def _unexplained(con: "duckdb.DuckDBPyConnection", release: Release, release_id: str, mart: str) -> list[str]:
    attach(con, release)
    if not changed_figures(con, release.as_of_date, mart):
        return []
    return [
        str(name)
        for (name,) in con.execute(
            f"""
            with told as (
                select table_name, period_start, channel_id, metric, sum(effect) as effect
                from {mart}.kpi_restatements
                where release_id = $1 and previous_release_id = $2
                group by all
            )
            select c.table_name || ' ' || c.period_start || ' ' || c.metric || coalesce(' of channel ' || c.channel_id, '')
            from changed as c left join told as t
                on c.table_name = t.table_name and c.period_start = t.period_start and c.metric = t.metric
                and c.channel_id is not distinct from t.channel_id
            where t.effect is distinct from coalesce(c.new_value, 0) - coalesce(c.old_value, 0)
            order by all limit 10
            """,
            [release_id, release.release_id],
        ).fetchall()
    ]
