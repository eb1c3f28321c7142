"""A broken delivery stops the night with one sentence; the next good one heals it."""

import gzip
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Retailer, copy_of

DAY = "2023-01-05"


@pytest.fixture
def four_days(retailer: Retailer, tmp_path: Path) -> Retailer:
    """A copy of the deliveries, so that they can be broken, with four days published."""
    landing = tmp_path / "landing"
    shutil.copytree(retailer.landing, landing, ignore=shutil.ignore_patterns("truth"))
    made = Retailer(copy_of(retailer, tmp_path / "home").home, {"FIDELIS_LANDING": str(landing)})
    made.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-04")
    return made


def test_a_broken_file_and_a_failing_test_leave_the_release_and_the_corrected_file_heals(four_days: Retailer) -> None:
    orders = four_days.landing / "shop" / f"orders_{DAY}.csv"
    events = four_days.landing / "web" / f"events_{DAY}.jsonl.gz"
    good_orders, good_events = orders.read_text(), events.read_bytes()
    before = four_days.release_id()

    orders.write_text(good_orders.replace("ordered_at", "order_time", 1))
    events.write_bytes(good_events[: len(good_events) // 2])
    refused = four_days.fidelis("run", "--date", DAY, expect=1)
    assert f"orders_{DAY}.csv lacks column 'ordered_at'" in refused.stderr
    assert "renamed to 'order_time'" in " ".join(refused.stderr.split())
    assert f"events_{DAY}.jsonl.gz is no whole gzip file" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr + refused.stdout
    assert four_days.release_id() == before

    # sound by its contract, and a test of the mart fails: no rate of that currency was ever delivered
    orders.write_text(good_orders.replace(",EUR,", ",SEK,"))
    events.write_bytes(good_events)
    failed = four_days.fidelis("run", "--date", DAY, expect=1)
    assert re.search(r"the mart was not built: test \S+ found \d+ rows that break it", " ".join(failed.stderr.split()))
    assert four_days.release_id() == before

    orders.write_text(good_orders)
    assert gzip.decompress(good_events)
    healed = four_days.fidelis("run", "--from", DAY, "--to", DAY)
    assert "Checks:" in healed.stdout
    assert four_days.release_id() != before


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
