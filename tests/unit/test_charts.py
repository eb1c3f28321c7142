"""The charts of a mart made by hand: what they show is worked out beside them."""

import base64
import re
from collections.abc import Callable
from xml.etree import ElementTree

import duckdb
import pytest

from orchestration import charts
from orchestration.settings import Settings

TABLES = {
    "ltv_backtest": "model varchar, is_chosen boolean, rmse double",
    "ltv_findings": "check_name varchar, message varchar",
    "ltv_calibration": "cutoff_date date, horizon_months integer, model varchar, decile integer, customers bigint, "
    "predicted_value double, actual_value double",
    "customer_rfm": "r_score integer, f_score integer, segment varchar, snapshot_date date",
    "pareto_monthly": "snapshot_date date, channel_id varchar, customers bigint, share_of_customers_for_80pct double, "
    "customers_for_80pct bigint, share_top_20pct double, gini double",
    "fct_orders": "customer_id varchar, order_date date, is_kept boolean, net_amount decimal(18, 2)",
    "cohort_monthly": "cohort_month date, months_since integer, channel_id varchar, customers bigint, "
    "active_customers bigint, is_complete boolean",
}
ROWS = {
    "ltv_backtest": ["('bg_nbd', true, 3.0)", "('pareto_nbd', false, 2.0)"],
    "ltv_findings": ["('back_test_gate', 'bg_nbd is used')"],
    # the decile of 4 customers may not be shown, the other model is not the one in use
    "ltv_calibration": [
        "('2024-01-31', 12, 'bg_nbd', 1, 4, 90, 90)",
        "('2024-01-31', 12, 'bg_nbd', 2, 5, 10, 20)",
        "('2024-01-31', 12, 'bg_nbd', 3, 5, 40, 30)",
        "('2024-01-31', 12, 'pareto_nbd', 1, 5, 25, 25)",
    ],
    "customer_rfm": [
        *["(5, 5, 'champion', '2024-06-30')"] * 7,
        *["(1, 1, 'hibernating', '2024-06-30')"] * 4,
        *["(2, 3, 'a<b', '2024-06-30')"] * 5,
    ],
    "pareto_monthly": [
        "('2024-06-30', null, 20, 0.35, 7, 0.6, 0.5)",
        "('2024-06-30', 'web', 9, 0.5, 5, 0.3, 0.1)",
        "('2024-05-31', null, 8, 0.9, 8, 0.2, 0.1)",
    ],
    # 20 customers of 12 months: five of 15.00, five of 3.00, ten of 1.00: 100.00 in all
    "fct_orders": [
        *[f"('a{i}', '2023-07-01', true, 15)" for i in range(5)],
        *[f"('b{i}', '2024-06-30', true, 3)" for i in range(5)],
        *[f"('c{i}', '2024-01-15', true, 1)" for i in range(10)],
        "('a0', '2023-06-30', true, 1000)",
        "('a0', '2024-07-01', true, 1000)",
        "('a1', '2024-03-01', false, 1000)",
        "(null, '2024-03-01', true, 1000)",
    ],
    "cohort_monthly": [
        "('2024-01-01', 0, null, 8, 8, true)",
        "('2024-01-01', 1, null, 8, 6, true)",
        "('2024-01-01', 2, null, 8, 2, true)",
        "('2024-01-01', 3, null, 8, 1, false)",
        "('2024-01-01', 1, 'web', 8, 8, true)",
        "('2024-02-01', 0, null, 4, 4, true)",
        "('2024-02-01', 1, null, 4, 4, true)",
    ],
}

Drawn = dict[str, ElementTree.Element]


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[charts.Chart]]:
    """Draw a mart that holds these tables, with these rows in this order."""
    file = tmp_path_factory.mktemp("charts") / "datamart.duckdb"

    def make(rows: dict[str, list[str]], without: tuple[str, ...] = ()) -> list[charts.Chart]:
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as con:
            con.execute("create schema mart")
            for table, columns in TABLES.items():
                if table not in without:
                    con.execute(f"create table mart.{table} ({columns})")
                    if rows.get(table):
                        con.execute(f"insert into mart.{table} values {', '.join(rows[table])}")
        return charts.draw(Settings(_env_file=None), file)

    return make


@pytest.fixture(scope="module")
def drawn(draw) -> list[charts.Chart]:
    return draw(ROWS)


def parsed(drawn: list[charts.Chart]) -> Drawn:
    return {c.table: ElementTree.fromstring(c.svg) for c in drawn}


def texts(svg: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in svg.iter() if e.tag.endswith(("}text", "}tspan"))]


def of_tag(svg: ElementTree.Element, tag: str) -> list[dict[str, str]]:
    return [e.attrib for e in svg.iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


def test_a_decile_stands_where_predicted_meets_actual(drawn):
    svg = parsed(drawn)["ltv_backtest"]
    said = texts(svg)
    # 0 to 40 in steps of 10 on 360 points
    assert [t for t in said if t.isdigit()] == ["0", "0", "10", "10", "20", "20", "30", "30", "40", "40"]
    found = [(float(c["cx"]), float(c["cy"])) for c in of_tag(svg, "circle")]
    assert found == [(80 + 9 * 10, 440 - 9 * 20), (80 + 9 * 40, 440 - 9 * 30)]
    assert "bg_nbd, used by customer_ltv" in said
    assert "after 2024-01-31" in said


def test_a_model_that_is_not_used_is_shown_with_the_verdict(draw):
    closed = ROWS | {
        "ltv_backtest": ["('bg_nbd', false, 3.0)", "('pareto_nbd', false, 2.0)", "('none', false, null)"],
        "ltv_findings": ["('back_test_gate', 'coverage is 60 %')"],
    }
    svg = parsed(draw(closed))["ltv_backtest"]
    assert "pareto_nbd, not used: coverage is 60 %" in texts(svg)
    assert len(of_tag(svg, "circle")) == 1


def test_the_rfm_map_counts_customers_and_hides_the_few(drawn):
    svg = parsed(drawn)["customer_rfm"]
    assert "16 customers on 2024-06-30" in texts(svg)
    shown = [t for t in texts(svg) if t in ("7", "4", "5", "< 5", "champion", "hibernating", "a<b")]
    # the scores of the two axes are 4 and 5 too
    assert sorted(shown) == sorted(["7", "champion", "< 5", "5", "a<b", "4", "5", "4", "5"])
    assert len(of_tag(svg, "rect")) == 1 + 25


def test_the_pareto_curve_passes_the_shares_worked_out_by_hand(drawn):
    svg = parsed(drawn)["pareto_monthly"]
    points = [tuple(map(float, p.split(","))) for p in of_tag(svg, "polyline")[0]["points"].split()]
    curve = {round((x - 64) / 420, 4): round((440 - y) / 360, 4) for x, y in points}
    # best first: 5 customers make 75 of 100, 10 make 90, 15 make 95; no point stands for fewer than 5 customers
    assert (curve[0.0], curve[0.25], curve[0.5], curve[0.75], curve[1.0]) == (0.0, 0.75, 0.9, 0.95, 1.0)
    assert min(x for x in curve if x > 0) == 0.25
    assert max(x for x in curve if x < 1) == 0.75
    (dot,) = of_tag(svg, "circle")
    assert (float(dot["cx"]), float(dot["cy"])) == (64 + 0.35 * 420, 440 - 0.8 * 360)
    assert "20 customers in the 12 months up to 2024-06-30; Gini 0.50" in texts(svg)


def test_the_cohort_triangle_shows_the_share_that_came_back(drawn):
    svg = parsed(drawn)["cohort_monthly"]
    shares = [e.text for e in svg.iter() if e.tag.endswith("}tspan")]
    # 6 and 2 of 8; the month not over, the channel and the cohort of four are not shown
    assert shares == ["75", "25"]
    assert {"2024-01", "8", "2024-02", "< 5"} <= set(texts(svg))


def test_the_same_mart_in_another_order_gives_the_same_bytes(draw, drawn):
    backwards = {table: rows[::-1] for table, rows in ROWS.items()}
    assert charts.page(draw(backwards)) == charts.page(drawn)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("ltv_backtest", "No back-test yet"),
        ("ltv_calibration", "No decile of the back-test has 5 customers"),
        ("customer_rfm", "No month is over yet"),
        ("pareto_monthly", "No month with a customer is over yet"),
        ("cohort_monthly", "No month is over yet"),
    ],
)
def test_a_chart_with_nothing_to_show_says_why(draw, table, sentence):
    drawn = parsed(draw(ROWS | {table: []}))
    assert sentence in " ".join(texts(drawn["ltv_backtest" if table == "ltv_calibration" else table]))


def test_a_part_of_the_mart_has_the_charts_of_its_tables(draw):
    drawn = draw(ROWS, without=("ltv_calibration", "customer_rfm"))
    assert [c.table for c in drawn] == ["pareto_monthly", "cohort_monthly"]


def test_the_page_and_the_markdown_carry_the_pictures_whole(drawn):
    page = charts.page(drawn)
    assert re.findall(r'<figure id="(\w+)">', page) == [
        "ltv_backtest",
        "customer_rfm",
        "pareto_monthly",
        "cohort_monthly",
    ]
    assert not re.search(r'(src|href)="', page)
    for chart in drawn:
        assert chart.svg in page
        title, address = re.fullmatch(r"!\[(.+)\]\(data:image/svg\+xml;base64,(.+)\)", chart.markdown).groups()
        assert (title, base64.b64decode(address).decode()) == (chart.title, chart.svg)
    assert "None of the charts" in charts.page([])
