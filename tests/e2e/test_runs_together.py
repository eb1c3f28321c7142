"""Runs that are started while another one writes: queued, or waiting for the lock; one after the other, and in the ledger."""

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PROJECT, Retailer, copy_of
from tests.e2e.service import Service, serving

pytestmark = pytest.mark.slow

REPOSITORY = {"repositoryLocationName": "fidelis", "repositoryName": "__repository__"}
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """Six days published by one run."""
    home = tmp_path_factory.mktemp("undisturbed")
    made = Retailer(home, {})
    days = ("--start", "2023-01-01", "--end", "2023-01-06", "--seed", "11", "--dirt", "0.01")
    made.fidelis("sample", "--customers", "40", *days, "--out", str(made.landing))
    made.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-06")
    return made


def ledger(retailer: Retailer) -> list[dict[str, Any]]:
    """The runs, each with its end, in the order in which they began to write."""
    runs: dict[str, dict[str, Any]] = {}
    for line in map(json.loads, (retailer.home / "ledger.jsonl").read_text().splitlines()):
        runs.setdefault(line["run_id"], {}).update(line)
    return list(runs.values())


def assert_one_after_the_other(runs: list[dict[str, Any]]) -> None:
    moments = [datetime.fromisoformat(run[name]) for run in runs for name in ("began", "ended")]
    assert moments == sorted(moments)


def test_two_commands_over_overlapping_days_run_one_after_the_other(undisturbed: Retailer, tmp_path: Path) -> None:
    retailer = Retailer(tmp_path / "home", {"FIDELIS_LANDING": str(undisturbed.landing)})
    program = str(Path(sys.executable).with_name("fidelis"))
    ranges = (("2023-01-01", "2023-01-04"), ("2023-01-03", "2023-01-06"))
    started = []
    for first, last in ranges:
        started.append(
            subprocess.Popen(
                [program, "run", "--from", first, "--to", last, "--why", f"from {first}"],
                env=retailer.environment,
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        # the second's days need the first's rates, so that it must not be the first to write
        while not (retailer.home / "ledger.jsonl").exists() and started[0].poll() is None:
            time.sleep(0.1)
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    runs = ledger(retailer)
    assert_one_after_the_other(runs)
    assert sorted((run["first"], run["last"], run["why"], run["state"]) for run in runs) == [
        (first, last, f"from {first}", "published") for first, last in ranges
    ]
    assert retailer.content() == undisturbed.content()


def launch(service: Service, first: str, last: str, **tags: str) -> str:
    """Start the nightly job over a range, as the launch dialog and the scheduler do; returns the run's id."""
    given = {RANGE[0]: first, RANGE[1]: last, **{f"{name.replace('__', '/')}": value for name, value in tags.items()}}
    answer = service.ask(
        "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename "
        "... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }",
        p={
            "selector": {**REPOSITORY, "jobName": "nightly"},
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in given.items()]},
        },
    )["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def backfill(service: Service, days: list[str], why: str) -> str:
    """Start a backfill of the nightly job, as the job's page does; returns its id."""
    answer = service.ask(
        "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename "
        "... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }",
        p={
            "selector": {"partitionSetName": "nightly_partition_set", "repositorySelector": REPOSITORY},
            "partitionNames": days,
            "tags": [{"key": "fidelis/why", "value": why}],
        },
    )["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def test_backfills_that_overlap_are_one_run_each_and_one_after_the_other(undisturbed: Retailer, tmp_path: Path) -> None:
    retailer = copy_of(undisturbed, tmp_path / "home")
    days = [f"2023-01-0{day}" for day in range(1, 7)]
    with serving(retailer) as service:
        question = (
            "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status runs { status } } } } }"
        )
        started = [backfill(service, days[:4], "first")]
        # the daemon takes two new backfills in any order, and the second's days need the first's rates
        service.wait_for(question, lambda data: data["partitionBackfillsOrError"]["results"][0]["runs"], 120)
        started.append(backfill(service, days[2:], "second"))
        ended = service.wait_for(
            question,
            lambda data: (
                found := {each["id"]: each for each in data["partitionBackfillsOrError"]["results"]},
                len(found) == 2 and all("COMPLETED" in each["status"] for each in found.values()) and found,
            )[1],
            540,
        )
    assert [ended[name]["status"] for name in started] == ["COMPLETED_SUCCESS"] * 2
    assert [len(ended[name]["runs"]) for name in started] == [1, 1]
    runs = ledger(retailer)
    assert_one_after_the_other(runs)
    assert sorted((run["why"], run["first"], run["last"], run["state"], run["source"]) for run in runs) == [
        ("first", "2023-01-01", "2023-01-04", "published", f"backfill {started[0]}"),
        ("second", "2023-01-03", "2023-01-06", "published", f"backfill {started[1]}"),
    ]
    assert retailer.content() == undisturbed.content()


def test_the_daemon_queues_what_is_started_while_a_run_writes_and_the_ledger_tells_them_apart(
    undisturbed: Retailer, tmp_path: Path
) -> None:
    retailer = copy_of(undisturbed, tmp_path / "home")
    with serving(retailer) as service:
        by_hand = launch(service, "2023-01-01", "2023-01-04", fidelis__why="new prices", fidelis__who="anna")
        scheduled = launch(service, "2023-01-03", "2023-01-06", dagster__schedule_name="nightly_schedule")
        seen: list[dict[str, str]] = []
        until = time.monotonic() + 540
        while time.monotonic() < until:
            runs = service.ask("{ runsOrError { ... on Runs { results { runId status } } } }")["runsOrError"]["results"]
            seen.append({run["runId"]: run["status"] for run in runs})
            if len(runs) == 2 and all(status in ("SUCCESS", "FAILURE", "CANCELED") for status in seen[-1].values()):
                break
            time.sleep(0.5)
    assert set(seen[-1].values()) == {"SUCCESS"}, seen[-1]
    at_work = ("STARTING", "STARTED", "CANCELING")
    assert max(sum(status in at_work for status in statuses.values()) for statuses in seen) == 1
    assert any("STARTED" in statuses.values() and "QUEUED" in statuses.values() for statuses in seen)

    entries = ledger(retailer)
    assert_one_after_the_other(entries)
    assert {run["state"] for run in entries} == {"published"}
    told = {run["source"]: (run["who"], run["why"], run["first"], run["last"], run["tables"]) for run in entries}
    user = told["schedule"][0]
    assert told == {
        "UI": ("anna", "new prices", "2023-01-01", "2023-01-04", "all"),
        "schedule": (user, "the night", "2023-01-03", "2023-01-06", "all"),
    }
    assert [run["run_id"] for run in entries] == [by_hand, scheduled]
    assert retailer.content() == undisturbed.content()
    shown = retailer.fidelis("runs").stdout
    assert all(text in shown for text in ("anna\tUI\tnew prices", "schedule\tthe night"))
