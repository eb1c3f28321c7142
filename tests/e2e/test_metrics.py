"""Each metric of MetricFlow, asked by `mf query` of the published mart, is the column that it stands for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.e2e.conftest import PROJECT, Retailer

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
    retailer.fidelis("run", "--from", "2023-01-01", "--to", "2023-02-09")
    return retailer


@pytest.fixture(scope="module")
def project(published: Retailer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's project beside what was parsed of it: `mf` looks for that in the folder `target`."""
    folder = tmp_path_factory.mktemp("project")
    for path in (PROJECT / "dbt_project").iterdir():
        if path.name not in ("target", "logs"):
            (folder / path.name).symlink_to(path)
    shutil.copytree(published.home / "dbt", folder / "target")
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
    metrics = json.loads((published.home / "dbt" / "manifest.json").read_text())["metrics"].values()
    for metric in metrics:
        assert " (" in metric["label"]
        assert metric["description"]
        assert metric["config"]["meta"]["formula"]
