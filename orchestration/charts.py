"""Four charts of the mart as SVG: calibration of predicted value, RFM map, Pareto curve, cohort triangle.

Drawn as text from small queries that aggregate: the same mart gives the same bytes, and nothing is imported for it. No point
or cell stands for fewer than ``FEWEST`` customers.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from textwrap import wrap
from types import MappingProxyType

import duckdb
import numpy as np

from orchestration.settings import Settings
from orchestration.warehouse import connect_file

#: The page with all charts, beside the mart in a release.
PAGE = "charts.html"
#: Fewer customers than this are not shown as a point or a cell.
FEWEST = 5

_INK, _PALE, _LINE = "#1f2933", "#6b7785", "#d5dbe1"
#: From few to many: dark enough from the fourth on to need white letters.
_SHADES = ("#f3f7fb", "#dbe8f4", "#b7d2e8", "#85b3d9", "#5393c6", "#2b72ad", "#12528a", "#083763")
_SERIES = ("#12528a", "#c2571a", "#2e7d4f")
_WHITE_FROM = 4
#: Cohorts and months since that fit into one picture; the latest are shown.
_MOST_COHORTS = 36
_DECIMALS = (0.01, 2), (0.1, 1)


@dataclass(frozen=True)
class Chart:
    """A picture of a table of the mart, complete in itself."""

    table: str
    title: str
    svg: str

    @property
    def markdown(self) -> str:
        """The picture inside a line of Markdown, as Dagster's UI shows it."""
        return f"![{self.title}](data:image/svg+xml;base64,{b64encode(self.svg.encode()).decode()})"


def draw(settings: Settings, file: Path) -> list[Chart]:
    """The charts of a mart's file, as far as it holds their tables: a part of it may have been built."""
    with connect_file(settings, file) as con:
        found = con.execute("select table_name from duckdb_tables() where schema_name = 'mart'").fetchall()
        tables = {name for (name,) in found}
        return [
            Chart(table, title, make(con, settings, title))
            for table, (title, needed, make) in _CHARTS.items()
            if tables.issuperset({table, *needed})
        ]


def page(charts: Sequence[Chart]) -> str:
    """One page of HTML with every chart in it; nothing is loaded from elsewhere."""
    parts = [f'<figure id="{c.table}">{c.svg}<figcaption>mart.{c.table}</figcaption></figure>' for c in charts]
    body = "\n".join(parts) or "<p>None of the charts' tables is in this mart.</p>"
    style = f"body{{font-family:sans-serif;color:{_INK};margin:2em}}figure{{display:inline-block;margin:1em;vertical-align:top}}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Charts of the mart</title><style>{style}</style>'
        f"</head><body>\n<h1>Charts of the mart</h1>\n{body}\n</body></html>\n"
    )


def _calibration(con: duckdb.DuckDBPyConnection, settings: Settings, title: str) -> str:
    """Mean predicted value against what came, by decile of the prediction, for each cut-off of the best model."""
    best = con.execute(
        "select model, is_chosen from mart.ltv_backtest where rmse is not null group by all "
        "order by is_chosen desc, avg(rmse), model limit 1"
    ).fetchone()
    verdicts = con.execute("select message from mart.ltv_findings where check_name = 'back_test_gate'").fetchall()
    verdict = verdicts[0][0] if verdicts else ""
    if best is None:
        return _sentence(title, f"No back-test yet: {verdict}")
    model, is_chosen = best
    rows = con.execute(
        "select cutoff_date, horizon_months, predicted_value, actual_value from mart.ltv_calibration "
        "where model = ? and customers >= ? order by cutoff_date desc, decile",
        [model, FEWEST],
    ).fetchall()
    if not rows:
        return _sentence(title, f"No decile of the back-test has {FEWEST} customers.")
    cutoffs = list(dict.fromkeys(row[0] for row in rows))
    step, ticks = _ticks(max(max(p, a) for _, _, p, a in rows), min(0.0, *(min(p, a) for _, _, p, a in rows)))
    scale = 360 / (ticks[-1] - ticks[0])

    def at(predicted: float, actual: float) -> tuple[float, float]:
        return 80 + (predicted - ticks[0]) * scale, 440 - (actual - ticks[0]) * scale

    marks = _frame([(*at(tick, tick), _amount(tick, step)) for tick in ticks], "actual")
    unit = f"{settings.ltv_value_unit} per customer, {settings.currency}"
    marks.append(_text(260, 476, f"predicted ({unit})", "middle"))
    for cutoff, _, predicted, actual in rows:
        x, y = at(predicted, actual)
        colour = _SERIES[cutoffs.index(cutoff) % len(_SERIES)]
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" fill-opacity=".75"/>')
    for i, cutoff in enumerate(cutoffs):
        colour = _SERIES[i % len(_SERIES)]
        marks.append(f'<rect x="460" y="{84 + 20 * i}" width="10" height="10" fill="{colour}"/>')
        marks.append(_text(476, 93 + 20 * i, f"after {cutoff}"))
    marks.append(_text(460, 100 + 20 * len(cutoffs), "dashed: as predicted", colour=_PALE))
    used = "used by customer_ltv" if is_chosen else f"not used: {verdict}"
    lines = [
        f"{model}, {used}",
        f"a point: a tenth of the customers by predicted value; {rows[0][1]} months after the cut-off",
    ]
    return _svg(title, lines, 640, 490, marks)


def _rfm_map(con: duckdb.DuckDBPyConnection, settings: Settings, title: str) -> str:
    """Customers by recency and frequency score."""
    rows = con.execute(
        "select r_score, f_score, count(*), case when min(segment) = max(segment) then min(segment) else 'several segments' end, "
        "max(snapshot_date) from mart.customer_rfm group by all order by all"
    ).fetchall()
    if not rows:
        return _sentence(title, "No month is over yet: there is no RFM snapshot.")
    scores = range(1, max(5, *(max(r, f) for r, f, *_ in rows)) + 1)
    cells = {(r, f): (customers, segment) for r, f, customers, segment, _ in rows}
    total, most = sum(c for c, _ in cells.values()), max(c for c, _ in cells.values())
    width, height, bottom = 108, 56, 80 + 56 * len(scores)
    marks = []
    for f in scores:
        y = bottom - f * height
        marks.append(_text(64, y + height / 2 + 4, str(f), "end"))
        for r in scores:
            x = 72 + (r - 1) * width
            customers, segment = cells.get((r, f), (0, ""))
            is_few = 0 < customers < FEWEST
            shade = 0 if is_few else _shade(customers / most)
            ink = "#fff" if shade >= _WHITE_FROM else _INK
            marks.append(_cell(x, y, width, height, shade))
            figure = f"&lt; {FEWEST}" if is_few else f"{customers:,}"
            marks.append(_text(x + width / 2, y + 25, figure, "middle", colour=ink, size=14, is_escaped=True))
            marks.append(_text(x + width / 2, y + 42, "" if is_few else segment or "", "middle", colour=ink, size=10))
    marks += [_text(72 + (r - 0.5) * width, bottom + 18, str(r), "middle") for r in scores]
    marks.append(_text(72 + len(scores) * width / 2, bottom + 36, "recency score (5 = most recent)", "middle"))
    middle = 80 + len(scores) * height / 2
    marks.append(_sideways(20, middle, "frequency score (5 = most orders)"))
    return _svg(title, [f"{total:,} customers on {rows[0][4]}"], 90 + len(scores) * width, bottom + 50, marks)


def _pareto(con: duckdb.DuckDBPyConnection, settings: Settings, title: str) -> str:
    """Cumulated net value of the last 12 months over customers, best first."""
    months = con.execute(
        "select snapshot_date, customers, share_of_customers_for_80pct, customers_for_80pct, share_top_20pct, gini "
        "from mart.pareto_monthly where channel_id is null order by snapshot_date desc limit 1"
    ).fetchall()
    if not months:
        return _sentence(title, "No month with a customer is over yet.")
    day, customers, needed_share, needed, top, gini = months[0]
    if customers < FEWEST or gini is None:
        return _sentence(title, f"On {day}: fewer than {FEWEST} customers, or no value above zero, in 12 months.")
    cents = np.sort(_customer_cents(con, day))[::-1]
    values = np.cumsum(cents) / cents.sum()
    points = [(0.0, 0.0)]
    for percent in (1, *range(5, 100, 5)):
        best = -(-percent * len(cents) // 100)
        if best >= FEWEST and len(cents) - best >= FEWEST:
            points.append((best / len(cents), float(values[best - 1])))
    points.append((1.0, 1.0))
    # the curve passes 1 where customers are worth less than nothing
    highest = max(1.0, *(y for _, y in points))

    def at(share: float, value: float) -> tuple[float, float]:
        return 64 + share * 420, 440 - value / highest * 360

    percents = range(0, 101, 20)
    marks = _frame([(*at(p / 100, p / 100), f"{p} %") for p in percents], "share of the net value")
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in points))
    marks.append(f'<polyline points="{path}" fill="none" stroke="{_SERIES[0]}" stroke-width="2.5"/>')
    said = [f"{customers:,} customers in the 12 months up to {day}; Gini {gini:.2f}"]
    if needed is not None and needed >= FEWEST:
        x, y = at(needed_share, 0.8)
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_SERIES[1]}"/>')
        said.append(f"{needed_share:.1%} of the customers make 80 % of the net value")
    if -(-customers // 5) >= FEWEST:
        said.append(f"the best 20 % make {top:.1%}")
    marks.append(_text(274, 476, "share of the customers, best first", "middle"))
    return _svg(title, [said[0], "; ".join(said[1:])], 510, 490, marks)


def _customer_cents(con: duckdb.DuckDBPyConnection, day: date) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Net value of each customer in the 12 calendar months up to a month's end, in cents, as pareto_monthly counts it."""
    found = con.execute(
        "select cast(sum(net_amount) * 100 as bigint) as cents from mart.fct_orders "
        "where is_kept and customer_id is not null and order_date <= $day "
        "and order_date >= date_trunc('month', $day - interval 11 month) group by customer_id",
        {"day": day},
    ).fetchnumpy()
    return np.asarray(found["cents"], np.int64)


def _cohorts(con: duckdb.DuckDBPyConnection, settings: Settings, title: str) -> str:
    """Which share of each cohort ordered again, month by month."""
    rows = con.execute(
        "select cohort_month, months_since, customers, active_customers from mart.cohort_monthly "
        "where channel_id is null and is_complete order by cohort_month, months_since"
    ).fetchall()
    if not rows:
        return _sentence(title, "No month is over yet: there is no cohort.")
    months = sorted({row[0] for row in rows})[-_MOST_COHORTS:]
    place = {month: i for i, month in enumerate(months)}
    shown = [row for row in rows if row[0] in place and row[1] > 0 and row[2] >= FEWEST]
    highest = max((active / customers for *_, customers, active in shown), default=0.0) or 1.0
    longest = max((row[1] for row in shown), default=1)
    width, height, left, top = 24, 18, 110, 96
    # a path per shade and a text per row: a rectangle per cell would be three times as long
    boxes: list[list[str]] = [[] for _ in _SHADES]
    figures: dict[tuple[int, bool], list[str]] = {}
    for month, since, customers, active in shown:
        x, y = left + (since - 1) * width, top + place[month] * height
        shade = _shade(active / customers / highest)
        boxes[shade].append(f"M{x} {y}h{width}v{height}h-{width}z")
        span = f'<tspan x="{x + width // 2}">{round(100 * active / customers)}</tspan>'
        figures.setdefault((place[month], shade >= _WHITE_FROM), []).append(span)
    marks = [
        f'<path d="{"".join(boxes[i])}" fill="{colour}" stroke="#fff"/>' for i, colour in enumerate(_SHADES) if boxes[i]
    ]
    for (row, is_white), spans in figures.items():
        ink = "#fff" if is_white else _INK
        y = top + row * height + 13
        marks.append(f'<text y="{y}" text-anchor="middle" font-size="9" fill="{ink}">{"".join(spans)}</text>')
    sizes = {month: customers for month, _, customers, _ in rows}
    for month, row in place.items():
        size = sizes[month]
        size_text = f"{size:,}" if size >= FEWEST else f"< {FEWEST}"
        marks.append(_text(56, top + row * height + 13, f"{month:%Y-%m}", "end", size=10))
        marks.append(_text(left - 6, top + row * height + 13, size_text, "end", colour=_PALE, size=10))
    headed = range(1, longest + 1) if longest <= 12 else range(3, longest + 1, 3)
    marks += [_text(left + (since - 0.5) * width, top - 6, str(since), "middle", size=10) for since in headed]
    marks.append(
        _text(left, top - 22, "months since the first order (beside each cohort: its customers)", colour=_PALE, size=10)
    )
    subtitle = f"% of the customers who ordered in the month; cohorts of fewer than {FEWEST} customers are left out"
    return _svg(title, [subtitle], max(left + longest * width + 20, 620), top + len(months) * height + 20, marks)


#: By the table that a chart belongs to: its title, what else it reads, and how it is drawn.
_CHARTS: Mapping[str, tuple[str, tuple[str, ...], Callable[[duckdb.DuckDBPyConnection, Settings, str], str]]] = (
    MappingProxyType(
        {
            "ltv_backtest": (
                "Predicted against actual customer value",
                ("ltv_calibration", "ltv_findings"),
                _calibration,
            ),
            "customer_rfm": ("RFM map", (), _rfm_map),
            "pareto_monthly": ("Pareto curve", ("fct_orders",), _pareto),
            "cohort_monthly": ("Cohorts", (), _cohorts),
        }
    )
)


def _svg(title: str, subtitles: Sequence[str], width: float, height: float, marks: Sequence[str]) -> str:
    lines = [_text(16, 28, title, size=17, extra=' font-weight="bold"')]
    lines += [_text(16, 46 + 16 * i, line, colour=_PALE) for i, line in enumerate(subtitles)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="sans-serif" role="img"><title>{escape(title)}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(lines)}{"".join(marks)}</svg>'
    )


def _sentence(title: str, sentence: str) -> str:
    """A chart that has nothing to show says why."""
    lines = wrap(sentence, 90)
    return _svg(title, lines, 640, 60 + 16 * len(lines), ())


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, colour: str = _INK, size: int = 12, extra: str = "",
    is_escaped: bool = False,
) -> str:  # fmt: skip
    shown = text if is_escaped else escape(text)
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{extra}>{shown}</text>'
    )


def _sideways(x: float, y: float, text: str) -> str:
    """A text that is read from below."""
    return _text(0, 0, text, "middle", extra=f' transform="translate({x:.0f} {y:.0f}) rotate(-90)"')


def _frame(ticks: Sequence[tuple[float, float, str]], beside: str) -> list[str]:
    """Lines and figures of two axes of one scale, whose ticks (x, y, figure) ascend, and the diagonal; ``beside`` is the upright axis."""
    (left, first, _), (right, last, _) = ticks[0], ticks[-1]
    marks = []
    for x, y, figure in ticks:
        marks += [_line(x, 80, x, 440), _line(left, y, right, y)]
        marks += [_text(x, 456, figure, "middle"), _text(left - 6, y + 4, figure, "end")]
    return [*marks, _line(left, first, right, last, _PALE, "4 4"), _sideways(16, 260, beside)]


def _line(x0: float, y0: float, x1: float, y1: float, colour: str = _LINE, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}"{dashed}/>'


def _cell(x: float, y: float, width: float, height: float, shade: int) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" fill="{_SHADES[shade]}" stroke="#fff"/>'


def _shade(share: float) -> int:
    """Place among the shades of a share of the highest value; 0 is for nothing at all."""
    return min(ceil(share * (len(_SHADES) - 1)), len(_SHADES) - 1) if share > 0 else 0


def _ticks(highest: float, lowest: float) -> tuple[float, list[float]]:
    """Step and places of round figures (1, 2 or 5 times a power of ten) that enclose the values, four to ten of them."""
    span = (highest - lowest) or 1.0
    power = 10.0 ** floor(log10(span / 4))
    step = next(power * k for k in (5, 2, 1) if span / (power * k) >= 4)
    return step, [i * step for i in range(floor(lowest / step), ceil(highest / step) + 1)]


def _amount(value: float, step: float) -> str:
    decimals = next((d for below, d in _DECIMALS if step < below * 10), 0)
    return f"{value:,.{decimals}f}"
