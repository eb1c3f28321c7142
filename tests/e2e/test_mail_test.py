"""One mail test of three arms as one flat file without customer ids, by the contracts of examples/mail_test alone."""

import csv
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.e2e.conftest import PROJECT, Retailer

pytestmark = pytest.mark.slow
EXAMPLE = PROJECT / "examples" / "mail_test"
ARMS = {"Mens E-Mail": (0.18, 0.07, 110), "Womens E-Mail": (0.15, 0.06, 105), "No E-Mail": (0.11, 0.055, 100)}
MAILED = ["Mens E-Mail", "Womens E-Mail"]
COLUMNS = ("recency", "segment", "visit", "conversion", "spend")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Six thousand customers, shuffled; who buys has visited, and only who buys spends."""
    rng = np.random.default_rng(20240416)
    made = []
    for arm in rng.choice(list(ARMS), 6000):
        visits, buys, mean = ARMS[arm]
        visit = rng.random() < visits
        conversion = visit and rng.random() < buys / visits
        spend = f"{rng.gamma(2, mean / 2) + 0.01:.2f}" if conversion else "0"
        made.append(
            dict(
                zip(COLUMNS, (str(rng.integers(1, 13)), arm, str(int(visit)), str(int(conversion)), spend), strict=True)
            )
        )
    return made


@pytest.fixture(scope="module")
def published(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    home = tmp_path_factory.mktemp("mail_test")
    (home / "landing").mkdir()
    with (home / "landing" / "mail_test.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    lines = (EXAMPLE / "settings.env").read_text().splitlines()
    made = Retailer(home, dict(line.split("=", 1) for line in lines if line.startswith("FIDELIS_")))
    made.fidelis("run")
    return made


def values(rows: list[dict[str, str]], arm: str, column: str) -> np.ndarray:
    return np.array([float(r[column]) for r in rows if r["segment"] == arm])


def wilson(p: float, n: int, sign: int) -> float:
    z = 1.959963984540054
    return (p + z * z / (2 * n) + sign * z * sqrt((p * (1 - p) + z * z / (4 * n)) / n)) / (1 + z * z / n)


def test_every_row_is_a_message_a_visit_and_an_order_where_it_says_so(
    published: Retailer, rows: list[dict[str, str]]
) -> None:
    found = published.query(
        "select arm, is_control, count(*) from mart.fct_campaign_messages group by all order by arm"
    )
    count = {arm: sum(r["segment"] == arm for r in rows) for arm in ARMS}
    assert found == [
        ("Mens E-Mail", False, count["Mens E-Mail"]),
        ("Womens E-Mail", False, count["Womens E-Mail"]),
        ("control", True, count["No E-Mail"]),
    ]
    spent = sum(round(100 * float(r["spend"])) for r in rows)
    assert published.query("select count(*), cast(100 * sum(net_amount) as bigint) from mart.fct_orders") == [
        (sum(r["conversion"] == "1" for r in rows), spent)
    ]
    assert published.query("select count(*) from mart.fct_web_sessions") == [(sum(r["visit"] == "1" for r in rows),)]


@pytest.mark.parametrize("arm", MAILED)
@pytest.mark.parametrize(("outcome", "column"), [("visited", "visit"), ("converted", "conversion")])
def test_rates_differ_as_the_two_sample_formulas_say(
    published: Retailer, rows: list[dict[str, str]], arm: str, outcome: str, column: str
) -> None:
    y1, y2 = values(rows, arm, column), values(rows, "No E-Mail", column)
    (n1, p1), (n2, p2) = (len(y1), y1.mean()), (len(y2), y2.mean())
    found = published.query(f"""
        select treated, control, value_treated, value_control, difference, difference_low, difference_high, p_value
        from mart.campaign_arm_effects where arm = '{arm}' and outcome = '{outcome}'
    """)[0]
    assert found[:2] == (n1, n2)
    assert found[2:5] == pytest.approx((p1, p2, p1 - p2), abs=1e-12)
    low = p1 - p2 - sqrt((p1 - wilson(p1, n1, -1)) ** 2 + (wilson(p2, n2, 1) - p2) ** 2)
    high = p1 - p2 + sqrt((wilson(p1, n1, 1) - p1) ** 2 + (p2 - wilson(p2, n2, -1)) ** 2)
    assert found[5:7] == pytest.approx((low, high), abs=1e-12)
    # Wald's interval, the textbook one, is the same to the third decimal at this size
    half = 1.959964 * sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    assert found[5:7] == pytest.approx((p1 - p2 - half, p1 - p2 + half), abs=1e-3)
    table = [[y1.sum(), n1 - y1.sum()], [y2.sum(), n2 - y2.sum()]]
    assert found[7] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)


@pytest.mark.parametrize("arm", MAILED)
def test_spend_differs_as_welch_says(published: Retailer, rows: list[dict[str, str]], arm: str) -> None:
    y1, y2 = values(rows, arm, "spend"), values(rows, "No E-Mail", "spend")
    found = published.query(f"""
        select value_treated, value_control, difference, difference_low, difference_high, p_value
        from mart.campaign_arm_effects where arm = '{arm}' and outcome = 'net'
    """)[0]
    welch = stats.ttest_ind(y1, y2, equal_var=False)
    interval = welch.confidence_interval(0.95)
    expected = (y1.mean(), y2.mean(), y1.mean() - y2.mean(), interval.low, interval.high, welch.pvalue)
    assert found == pytest.approx(expected, rel=1e-9)


def test_both_mailings_together_are_the_campaign_and_margins_say_why_they_are_not_known(
    published: Retailer, rows: list[dict[str, str]]
) -> None:
    treated = sum(r["segment"] in MAILED for r in rows)
    bought = sum(r["segment"] in MAILED and r["conversion"] == "1" for r in rows)
    found = published.query("""
        select treated, control, conversion_rate_treated, sample_ratio_p_value, incremental_margin, reason, is_complete
        from mart.campaign_incrementality
    """)
    ratio = stats.chisquare([treated, 6000 - treated], [6000 * (1 - 0.33333333), 6000 * 0.33333333]).pvalue
    assert found == [
        (
            treated,
            6000 - treated,
            pytest.approx(bought / treated),
            pytest.approx(ratio),
            None,
            "the costs of the goods sold are not known",
            True,
        )
    ]


def test_the_same_file_again_gives_the_same_mart(published: Retailer, tmp_path: Path) -> None:
    before = published.content()
    published.fidelis("run", "--full-refresh")
    assert published.content() == before
