"""The nightly job from the command line: true totals, the same mart whatever the order of runs, and its metrics.

Each metric of MetricFlow, asked by `mf query` of the published mart, is the column that it stands for.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.dbt_runner import load_manifest, parsed
from orchestration.incrementality import Arm, difference_of_rates
from orchestration.settings import load_settings
from tests.e2e.conftest import PROJECT, Retailer, copy_of

FIRST, LAST = "2023-01-01", "2023-02-09"

#: By table: what `mf` groups by, the rows of the table with the same keys, and the keys.
CUTS = {
    "kpi_monthly": (
        ["metric_time__month"],
        "select period_start as metric_time__month, * from mart.kpi_monthly where channel_id is null",
    ),
    "cohort_monthly": (
        ["metric_time__month", "cohort__months_since"],
        (
            "select cohort_month as metric_time__month, months_since as cohort__months_since, * from mart.cohort_monthly "
            "where channel_id is null"
        ),
    ),
    "acquisition_monthly": (
        ["metric_time__month"],
        "select period_start as metric_time__month, * from mart.acquisition_monthly where channel_id is null",
    ),
    "pareto_monthly": (
        ["metric_time__day"],
        "select snapshot_date as metric_time__day, * from mart.pareto_monthly where channel_id is null",
    ),
    "funnel_monthly": (
        ["metric_time__day", "move__stage", "move__next_stage"],
        (
            "select snapshot_date as metric_time__day, stage as move__stage, next_stage as move__next_stage, * "
            "from mart.funnel_monthly"
        ),
    ),
    "customer_lifecycle_monthly": (
        ["metric_time__day", "life_stage__stage"],
        (
            "select snapshot_date as metric_time__day, stage as life_stage__stage, count(*) as stage "
            "from mart.customer_lifecycle_monthly group by all"
        ),
    ),
}


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


def test_older_readers_can_open_a_release(published: Retailer) -> None:
    assert published.query(
        "select tags['storage_version'] from duckdb_databases() where path like '%datamart.duckdb'"
    ) == [("v1.0.0+",)]


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


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def project(published: Retailer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's project beside what was parsed of it: `mf` looks for that in the folder `target`."""
    folder = tmp_path_factory.mktemp("project")
    for path in (PROJECT / "dbt_project").iterdir():
        if path.name not in ("target", "logs"):
            (folder / path.name).symlink_to(path)
    shutil.copytree(parsed(load_settings()), folder / "target")
    return folder


def ask(published: Retailer, project: Path, metrics: list[str], group_by: list[str], answer: Path) -> None:
    release = published.home / "releases" / "current"
    first, last = published.query("select min(period_start), max(period_end) from mart.kpi_monthly")[0]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("mf")), "query", "--quiet", "--csv", str(answer),
            "--metrics", ",".join(metrics), "--group-by", ",".join(group_by),
            "--start-time", str(first), "--end-time", str(last),
        ],
        cwd=project,
        env={
            **os.environ, "DBT_PROFILES_DIR": str(project), "FIDELIS_DBT_TARGET": "release",
            "FIDELIS_WAREHOUSE_DIR": str(release),
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("table", CUTS)
def test_each_metric_is_the_column_of_its_table(published: Retailer, project: Path, tmp_path: Path, table: str) -> None:
    named = {
        metric["name"]: metric["config"]["meta"].get("column", ".").split(".")
        for metric in json.loads((project / "target" / "manifest.json").read_text())["metrics"].values()
    }
    columns = {name: column for name, (home, column) in named.items() if home == table}
    assert columns
    group_by, rows = CUTS[table]
    ask(published, project, list(columns), group_by, tmp_path / "answer.csv")
    rounded = {"average_basket", "cumulative_margin_per_customer", "cost_per_new_customer"}
    same = [
        f"coalesce(abs(asked.{name} - kept.{column}), case when asked.{name} is null and kept.{column} is null "
        f"then 0 else 1 end) <= {0.005 if column in rounded else 1e-9}"
        for name, column in columns.items()
    ]
    keys = " and ".join(f"cast(kept.{key} as varchar) is not distinct from asked.{key}" for key in group_by)
    with duckdb.connect(str(published.datamart), read_only=True) as con:
        types = {**dict.fromkeys(group_by, "varchar"), **dict.fromkeys(columns, "double")}
        con.execute(
            f"create temp table asked as select * replace (cast(cast({group_by[0]} as date) as varchar) as {group_by[0]}) "
            f"from read_csv('{tmp_path}/answer.csv', types = {types})"
        )
        found = con.execute(
            f"select count(*), count(asked.{group_by[0]}), count(kept.{group_by[0]}), "
            + ", ".join(f"count(*) filter (where not ({each}))" for each in same)
            + f" from asked full join ({rows}) as kept on {keys}"
        ).fetchone()
    assert found is not None
    total, in_answer, in_table, *different = found
    assert 0 < total == in_answer == in_table
    assert dict(zip(columns, different, strict=True)) == dict.fromkeys(columns, 0)


def test_every_metric_has_both_names_a_definition_and_a_formula(published: Retailer) -> None:
    metrics = load_manifest(load_settings())["metrics"].values()
    for metric in metrics:
        assert " (" in metric["label"]
        assert metric["description"]
        assert metric["config"]["meta"]["formula"]
