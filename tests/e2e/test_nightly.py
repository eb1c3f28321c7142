"""The nightly job from the command line: true totals, the same mart whatever the order of runs."""

import csv
import json
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.incrementality import Arm, difference_of_rates
from tests.e2e.conftest import Retailer, copy_of

FIRST, LAST = "2023-01-01", "2023-02-09"


@pytest.fixture(scope="module")
def published(retailer: Retailer) -> Retailer:
    retailer.fidelis("run", "--from", FIRST, "--to", LAST)
    return retailer


def truth(retailer: Retailer) -> dict[str, Decimal]:
    with open(retailer.landing / "truth" / "totals.csv") as stream:
        return {row["metric"]: Decimal(row["value"]) for row in csv.DictReader(stream)}


def test_the_mart_holds_the_true_totals_to_the_cent_and_the_row(published: Retailer) -> None:
    expected = truth(published)
    found = {
        "orders": "select count(*) from mart.fct_orders",
        "kept_orders": "select count(*) from mart.fct_orders where is_kept",
        "order_lines": "select count(*) from mart.fct_order_lines",
        "all_gross_amount": "select sum(gross_amount) from mart.fct_order_lines",
        "all_discount_amount": "select sum(discount_amount) from mart.fct_order_lines",
        "all_returned_amount": "select sum(returned_amount) from mart.fct_order_lines",
        "all_net_amount": "select sum(net_amount) from mart.fct_order_lines",
        "kept_net_amount": "select sum(net_amount) from mart.fct_orders where is_kept",
        "returns": "select count(*) from mart.fct_returns",
        "sessions": "select count(*) from mart.fct_web_sessions",
        "messages": "select count(*) from mart.fct_campaign_messages",
        "reactions": "select count(*) from mart.fct_campaign_reactions",
        "products": "select count(distinct product_id) from mart.dim_product where category is not null",
        "campaigns": "select count(*) from mart.dim_campaign where started_on is not null",
    }
    assert {metric: published.query(sql)[0][0] for metric, sql in found.items()} == {m: expected[m] for m in found}


def test_the_charts_are_written_with_the_release(published: Retailer) -> None:
    page = (published.home / "releases" / "current" / "charts.html").read_text()
    customers, day = published.query("select count(*), max(snapshot_date) from mart.customer_rfm")[0]
    assert f"{customers:,} customers on {day}" in page
    assert page.count("<svg") == 4


def test_every_bad_row_of_the_dirt_is_in_quarantine_or_a_declared_duplicate(published: Retailer) -> None:
    with open(published.landing / "truth" / "dirt.csv") as stream:
        dirt = list(csv.DictReader(stream))
    assert dirt
    accounted = {"quarantined": 0, "duplicate": 0, "read": 0, "loaded": 0, "refused": 0}
    for index in (published.home / "raw").glob("*/_partitions.json"):
        for entry in json.loads(index.read_text()).values():
            for kind in accounted:
                accounted[kind] += entry[f"rows_{kind}"]
            assert entry["failure"] is None
    assert accounted["read"] == accounted["loaded"] + accounted["quarantined"] + accounted["duplicate"]
    assert accounted["quarantined"] == sum(int(d["rows"]) for d in dirt if d["expectation"].startswith("quarantined"))


def test_the_lift_of_the_sample_is_the_package_s_over_arms_counted_anew_and_its_interval_holds_the_truth(
    published: Retailer,
) -> None:
    week = timedelta(days=7)
    with open(published.landing / "truth" / "campaigns.csv") as stream:
        true_uplift = {row["campaign_id"]: float(row["true_uplift"]) for row in csv.DictReader(stream)}
    bought = defaultdict(list)
    for customer, at in published.query(
        "select customer_id, ordered_at from mart.fct_orders where is_kept and customer_id is not null"
    ):
        bought[customer].append(at)
    assigned: dict[tuple[str, str], tuple[datetime, bool]] = {}
    for campaign, customer, at, held in published.query(
        "select campaign_id, customer_id, sent_at, is_control from mart.fct_campaign_messages order by sent_at, message_id"
    ):
        assigned.setdefault((campaign, customer), (at, held))
    measured = published.query("""
        select campaign_id, treated, control, conversion_rate_treated, conversion_rate_control, lift, lift_low, lift_high, p_value
        from mart.campaign_incrementality where is_complete
    """)
    assert measured
    for campaign, *figures in measured:
        arms: dict[bool, list[int]] = {False: [], True: []}
        for (of, customer), (at, held) in assigned.items():
            if of == campaign:
                arms[held].append(int(any(at < ordered <= at + week for ordered in bought[customer])))
        treated, control = Arm.of(arms[False]), Arm.of(arms[True])
        effect = difference_of_rates(treated, control)
        assert figures == pytest.approx(
            [
                len(arms[False]),
                len(arms[True]),
                treated.mean,
                control.mean,
                effect.difference,
                effect.low,
                effect.high,
                effect.p_value,
            ]
        )
        assert effect.low <= true_uplift[campaign] <= effect.high


def test_days_run_in_pieces_and_out_of_order_give_the_same_mart_as_one_range(
    published: Retailer, tmp_path: Path
) -> None:
    other = copy_of(published, tmp_path / "home")
    other.fidelis("run", "--from", FIRST, "--to", "2023-01-09")
    other.fidelis("run", "--from", "2023-01-25", "--to", LAST)
    other.fidelis("run", "--from", "2023-01-10", "--to", "2023-01-24")
    assert other.content() == published.content()


def test_an_audience_holds_nobody_who_may_not_be_written_to(published: Retailer) -> None:
    told = Retailer(published.home, {"FIDELIS_AUDIENCES": "audiences"})
    assert "champions_email: " in told.fidelis("audience", "export").stdout
    files = sorted(published.home.glob("activation/champions_email/current/full.parquet"))
    barred = published.query(f"""
        with barred as (
            select customer_id from mart.dim_customer where is_current and not consent_email
            union select customer_id from mart.fct_campaign_messages where complained_at is not null or bounced_at is not null
        )
        select count(*), count(*) filter (where customer_id in (from barred)), bool_and(segment = 'champion')
        from read_parquet('{files[0]}')
    """)
    assert barred[0][0] > 0
    assert barred[0][1:] == (0, True)
    assert "no difference" in told.fidelis("audience", "export", "champions_email").stdout


def test_running_again_and_a_full_refresh_give_the_same_mart(published: Retailer) -> None:
    before = published.content()
    published.fidelis("run", "--from", "2023-01-20", "--to", "2023-01-22")
    assert published.content() == before
    published.fidelis("run", "--full-refresh")
    assert published.content() == before
    nothing = published.fidelis("run")
    assert "Nothing to do" in nothing.stdout


def test_equal_values_have_equal_rfm_scores_and_every_customer_one_segment(published: Retailer) -> None:
    split = published.query("""
        select count(*) from (
            select snapshot_date, frequency from mart.customer_rfm_monthly group by all
            having count(distinct f_score) > 1
        )
    """)
    strangers = published.query("select count(*) from mart.customer_rfm where segment is null")
    customers = published.query("select count(*), count(distinct customer_id) from mart.customer_rfm")
    assert split == [(0,)]
    assert strangers == [(0,)]
    assert customers[0][0] == customers[0][1] > 0


@pytest.mark.slow
def test_ten_days_run_day_by_day_equal_one_range(retailer: Retailer, tmp_path: Path) -> None:
    by_day, at_once = copy_of(retailer, tmp_path / "by_day"), copy_of(retailer, tmp_path / "at_once")
    days = [f"2023-01-{day:02d}" for day in range(1, 11)]
    for day in days:
        by_day.fidelis("run", "--date", day)
    at_once.fidelis("run", "--from", days[0], "--to", days[-1])
    assert by_day.content() == at_once.content()
