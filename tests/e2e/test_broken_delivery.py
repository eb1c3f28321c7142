"""A broken delivery stops the night with one sentence; the next good one heals it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Retailer, copy_of

DAY = "2023-01-05"


@pytest.fixture(scope="module")
def four_days(retailer: Retailer, tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """A copy of the deliveries, so that they can be broken, with four days published."""
    folder = tmp_path_factory.mktemp("four_days")
    landing = folder / "landing"
    shutil.copytree(retailer.landing, landing, ignore=shutil.ignore_patterns("truth"))
    made = Retailer(copy_of(retailer, folder / "home").home, {"FIDELIS_LANDING": str(landing)})
    made.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-04")
    return made


def test_a_broken_file_and_a_failing_test_leave_the_release_and_the_replay_of_the_corrected_file_heals(
    four_days: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = four_days.landing / "shop" / f"orders_{DAY}.csv"
    lines = four_days.landing / "shop" / f"order_lines_{DAY}.csv"
    events = four_days.landing / "web" / f"events_{DAY}.jsonl.gz"
    good_orders, good_lines, good_events = orders.read_text(), lines.read_text(), events.read_bytes()
    header, *rows = good_lines.splitlines()
    before = four_days.release_id()

    orders.write_text(good_orders.replace("ordered_at", "order_time", 1))
    lines.write_text("\n".join([header, *(row + "?" for row in rows), ""]))
    events.write_bytes(good_events[: len(good_events) // 2])
    refused = four_days.fidelis("run", "--date", DAY, expect=1)
    assert f"orders_{DAY}.csv lacks column 'ordered_at'" in refused.stderr
    assert "renamed to 'order_time'" in " ".join(refused.stderr.split())
    assert f"events_{DAY}.jsonl.gz is no whole gzip file" in " ".join(refused.stderr.split())
    assert f"order_lines of {DAY}: {len(rows):,} of {len(rows):,} rows are bad" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr + refused.stdout
    assert four_days.release_id() == before

    assert (
        f"order_lines\t{DAY}\trefused\t{len(rows)}\t0\ttax_rate_type" in four_days.fidelis("quarantine", "list").stdout
    )
    shown = four_days.fidelis("quarantine", "show", "order_lines", DAY, "--limit", "10000").stdout
    found = [row.split("\t") for row in shown.splitlines()[-len(rows) :]]
    assert [(key, line) for _, key, _, line in found] == [(r.split(",")[0], str(n)) for n, r in enumerate(rows, 2)]
    assert rows[0] not in shown
    assert rows[0] + "?" in four_days.fidelis("quarantine", "show", "order_lines", DAY, "--raw").stdout

    # all sound by their contracts, and a test of the mart fails: no rate of that currency was ever delivered
    orders.write_text(good_orders.replace(",EUR,", ",SEK,"))
    lines.write_text(good_lines)
    events.write_bytes(good_events)
    failed = four_days.fidelis("quarantine", "replay", "order_lines", DAY, expect=1)
    assert re.search(r"the mart was not built: test \S+ found \d+ rows that break it", " ".join(failed.stderr.split()))
    assert f"rows in quarantine {len(rows):,} -> 0, rows in the raw zone 0 -> " in failed.stdout
    assert f"order_lines\t{DAY}" not in four_days.fidelis("quarantine", "list").stdout
    assert four_days.release_id() == before

    orders.write_text(good_orders)
    healed = four_days.fidelis("quarantine", "replay", "orders", DAY, "--why", "corrected export")
    assert f"Published release {four_days.release_id()}, " in healed.stdout
    assert four_days.release_id() != before
    undisturbed = Retailer(copy_of(four_days, tmp_path / "undisturbed").home, four_days.settings)
    undisturbed.fidelis("run", "--from", "2023-01-01", "--to", DAY)
    assert four_days.content() == undisturbed.content()

    ledger = [row.split("\t") for row in four_days.fidelis("runs").stdout.splitlines()[2:]]
    assert [(row[3], row[4], row[5], row[7]) for row in ledger] == [
        ("corrected export", DAY, "orders", "published"),
        ("replay of order_lines", DAY, "order_lines, orders, web_events", "failed"),
        ("", DAY, "all", "failed"),
        ("", "2023-01-01 to 2023-01-04", "all", "published"),
    ]
    assert "the mart was not built" in ledger[1][8]
    assert "lacks column 'ordered_at'" in ledger[2][8]
    assert "corrected export" in shown_in_ui(four_days, monkeypatch, "control/ledger")["last runs"]
    assert shown_in_ui(four_days, monkeypatch, "raw/order_lines", DAY)["rule/tax_rate_type"] == 0


def shown_in_ui(retailer: Retailer, monkeypatch: pytest.MonkeyPatch, asset: str, day: str | None = None) -> dict:
    """Metadata of the latest materialisation of an asset, or of one of its days."""
    import dagster as dg

    monkeypatch.setenv("FIDELIS_EVENT_LOG_DIR", str(retailer.home / "dagster" / "history" / "runs"))
    with dg.DagsterInstance.from_config(str(retailer.home / "dagster")) as instance:
        wanted = dg.AssetRecordsFilter(dg.AssetKey(asset.split("/")), asset_partitions=[day] if day else None)
        record = instance.fetch_materializations(wanted, limit=1).records[0]
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_without_days_the_command_takes_up_what_is_pending(retailer: Retailer, tmp_path: Path) -> None:
    empty = copy_of(retailer, tmp_path / "home")
    empty = Retailer(empty.home, {**empty.settings, "FIDELIS_LANDING": str(tmp_path / "nothing")})
    nothing = empty.fidelis("run")
    assert "Nothing to do" in nothing.stdout
    assert "No release yet" in empty.fidelis("query", "select 1", expect=1).stderr
    wrong = empty.fidelis("run", "--from", "2023-02-01", "--to", "2023-01-01", expect=1)
    assert "cannot run 2023-02-01 to 2023-01-01" in wrong.stderr


def test_a_query_cannot_write_or_read_other_files(four_days: Retailer) -> None:
    refused = four_days.fidelis("query", "create table mart.x as select 1", expect=1)
    assert "read-only" in refused.stderr
    outside = four_days.fidelis("query", "select * from read_csv('/etc/passwd')", expect=1)
    assert "disabled" in outside.stderr
