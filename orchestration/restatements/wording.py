"""Why a published figure changed, in plain words with figures."""

import re
from datetime import date
from decimal import Decimal

from orchestration.releases import current
from orchestration.restatements.compare import FIGURES, MONTHS, figures
from orchestration.settings import Settings
from orchestration.warehouse import connect_reader

WORDS = {
    "late_order": "orders that were delivered after the figure was published",
    "return": "goods sent back since, or whose return was delivered since",
    "cancellation": "orders cancelled since, or whose cancellation was delivered since",
    "identity_merge": "records found to be of one customer",
    "identity_split": "records found to be of several customers",
    "erasure": "persons erased",
    "fx_correction": "exchange rates delivered again or late",
    "rule_change": "other code, contracts or settings",
    "other": "deliveries corrected or removed, costs of products, late visits",
}


def explain(settings: Settings, table: str, period: str, metric: str, channel_id: str | None = None) -> list[str]:
    """Lines that say what a figure is, which releases changed it, and how much each cause brought.

    ``period``: 2024-03, 2024-H1 or a date in it. Raises ValueError with a sentence for what is not a published figure.
    """
    release = current(settings)
    if release is None:
        raise ValueError("no release yet: `fidelis run` makes the first")
    if table not in MONTHS:
        raise ValueError(f"there are no restatements of {table}; of these there are: {', '.join(MONTHS)}")
    if metric not in FIGURES[table]:
        raise ValueError(f"{table} has no figure {metric}; it has: {', '.join(FIGURES[table])}")
    start = _period_start(period, MONTHS[table])
    where = "period_start = ? and channel_id is not distinct from ?"
    with connect_reader(release.datamart) as con:
        now = con.execute(
            f"select {metric} from {figures(table, 'mart')} where {where}", [start, channel_id]
        ).fetchall()
        told = con.execute(
            "select release_id, as_of_date, previous_release_id, old_value, new_value, cause, effect from mart.kpi_restatements "
            f"where table_name = ? and metric = ? and {where} order by as_of_date, release_id, abs(effect) desc, cause",
            [table, metric, start, channel_id],
        ).fetchall()
    cut = "all channels" if channel_id is None else f"channel {channel_id}"
    name = f"{table} {start} {metric}, {cut}"
    if not now and not told:
        raise ValueError(f"nothing was published of {name}")
    value = _figure(now[0][0]) if now else "gone"
    lines = [f"{name}: {value} in release {release.release_id}, as of {release.as_of_date}."]
    if not told:
        return [*lines, "No release changed it after its period was over."]
    shown = None
    for release_id, as_of_date, previous, old, new, cause, effect in told:
        if release_id != shown:
            shown = release_id
            change = (new or Decimal()) - (old or Decimal())
            lines.append(
                f"Release {release_id}, as of {as_of_date}, changed it by {_figure(change, signed=True)}, "
                f"from {_figure(old)} (release {previous}) to {_figure(new)}:"
            )
        lines.append(f"  {_figure(effect, signed=True)}  {cause}: {WORDS[cause]}")
    return lines


def _period_start(period: str, months: int) -> date:
    half = re.fullmatch(r"(\d{4})-?[HhSs]([12])", period)
    try:
        if half:
            day = date(int(half[1]), 6 * int(half[2]) - 5, 1)
        else:
            day = date.fromisoformat(f"{period}-01" if re.fullmatch(r"\d{4}-\d{2}", period) else period)
    except ValueError:
        raise ValueError(f"{period} is no period: give it as 2024-03, or as 2024-H1") from None
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def _figure(value: object, *, signed: bool = False) -> str:
    if value is None:
        return "nothing"
    text = f"{Decimal(str(value)):{'+' if signed else ''},.10f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}" if rest else whole
