"""The yardstick's landing files as deliveries of Fidelis: the same rows, under the names of the days that bring them.

Monthly files are linked, not copied: a month is delivered on its last day. The last two months are cut into daily files, so that
single nights can be measured on top of a history. Accounts come with the month in which a version began: an account has at most
one a month, and Fidelis tells versions by their deliveries.
"""

import subprocess
import sys
from calendar import monthrange
from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST, LAST = date(2023, 1, 1), date(2025, 12, 31)
#: From here on a file a day.
DAILY = date(2025, 11, 1)

_WHOLE = ("channels", "products", "campaigns")
_MONTHLY = {
    "orders": "order_ts",
    "order_lines": "order_ts",
    "web_events": "event_ts",
    "campaign_messages": "sent_ts",
    "campaign_reactions": "reaction_ts",
}


def generate(yardstick: Path, scale: float, folder: Path) -> Path:
    """The yardstick's own files at a scale (Parquet, 1 = a million customers), made once; returns their folder."""
    landing = folder / f"yardstick-{scale:g}"
    if not (landing / "done").exists():
        command = [sys.executable, str(yardstick / "generate.py"), "--scale", f"{scale:g}"]
        subprocess.run([*command, "--out", str(landing), "--formats", "parquet"], check=True)
        (landing / "done").touch()
    return landing


def delivered(yardstick: Path, folder: Path, first: date) -> Path:
    """The landing folder, below ``folder``, of what the yardstick's ``yardstick`` has from ``first`` on; made once.

    Accounts known before come on ``first``.
    """
    target = folder / f"from-{first}-{yardstick.name}"
    if not (target / "done").exists():
        _deliver(yardstick, target, first)
        (target / "done").touch()
    return target


def _deliver(yardstick: Path, target: Path, first: date) -> None:
    source = yardstick / "parquet"
    months = [m for y in range(FIRST.year, LAST.year + 1) for m in (date(y, n, 1) for n in range(1, 13))]
    with duckdb.connect() as con:
        for table in _WHOLE:
            _link(source / table / "all.parquet", target / table / f"{first}.parquet")
        for table, moment in _MONTHLY.items():
            for month in months:
                file = source / table / f"{month:%Y%m}.parquet"
                if month < DAILY and first <= month:
                    _link(file, target / table / f"{_last_day(month)}.parquet")
                elif month >= DAILY:
                    days = [d for d in _days(month, _last_day(month)) if d >= first]
                    _cut(con, f"read_parquet('{file}')", f"cast({moment} as date)", target / table, days)
        # what lies before the first day is an account's state on it: its latest version
        accounts = f"""(select * exclude (turn) from (
            select *, greatest(date '{first}', case when updated_at >= timestamp '{DAILY}' then cast(updated_at as date)
                else last_day(updated_at) end) as delivered,
                row_number() over (partition by customer_id, delivered order by version_no desc) as turn
            from read_parquet('{source}/customers/all.parquet')) where turn = 1)"""
        ends = [_last_day(m) for m in months if first <= m < DAILY]
        days = sorted({first, *ends, *_days(max(first, DAILY), LAST)})
        _cut(con, accounts, "delivered", target / "customers", days)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def _last_day(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    name.symlink_to(file.resolve())


def _cut(con: duckdb.DuckDBPyConnection, relation: str, day: str, folder: Path, days: list[date]) -> None:
    """Write the rows of each of ``days`` into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    con.execute(f"create or replace temp table cut as select *, {day} as delivery_day from {relation}")
    for one in days:
        con.execute(
            f"copy (select * exclude (delivery_day) from cut where delivery_day = date '{one}') "
            f"to '{folder / f'{one}.parquet'}' (format parquet)"
        )
