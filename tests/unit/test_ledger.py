"""The ledger of runs: what began is on the disk, what never ended was killed, nothing is ever rewritten."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from orchestration import ledger
from orchestration.ledger import Entry
from orchestration.releases import Release
from orchestration.settings import Settings
from tests.support.world import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path)
    settings.home.mkdir()
    return settings


def entry(run_id: str, **changes: object) -> Entry:
    values = {"who": "anna", "source": "command line", "why": "a new price list", "tables": "all", "options": ""}
    days = {"first": date(2024, 2, 28), "last": date(2024, 3, 1)}
    return Entry(run_id=run_id, began=datetime(2024, 3, 2, 3, 0, tzinfo=UTC), **{**values, **days, **changes})


def release(release_id: str, **checksums: str) -> Release:
    tables = {name: {"rows": 1, "checksum": value} for name, value in checksums.items()}
    return Release(release_id, Path(), date(2024, 3, 1), datetime.now(UTC), "1", tables, {}, "", "")


def test_before_the_first_run_the_ledger_is_empty(settings: Settings) -> None:
    assert ledger.read(settings) == []


def test_a_run_is_read_back_as_it_was_written_the_oldest_first(settings: Settings) -> None:
    for run_id, state in (("a", ledger.FAILED), ("b", ledger.PUBLISHED)):
        ledger.begin(settings, entry(run_id))
        ledger.end(settings, run_id, state, f"because\n of {run_id}")
    read = ledger.read(settings)
    assert [(e.run_id, e.state, e.result) for e in read] == [
        ("a", "failed", "because of a"),
        ("b", "published", "because of b"),
    ]
    assert [(e.who, e.why, e.days) for e in read] == [("anna", "a new price list", "2024-02-28 to 2024-03-01")] * 2
    assert all(e.ended is not None and e.ended.tzinfo is not None for e in read)


def test_a_run_without_an_end_runs_while_the_lock_is_held_and_was_killed_when_it_is_not(settings: Settings) -> None:
    with ledger.writer_lock(settings):
        ledger.begin(settings, entry("a"))
        assert [e.state for e in ledger.read(settings)] == ["running"]
    assert [e.state for e in ledger.read(settings)] == ["killed"]


def test_an_earlier_run_without_an_end_was_killed_whoever_writes_now(settings: Settings) -> None:
    ledger.begin(settings, entry("a"))
    with ledger.writer_lock(settings):
        ledger.begin(settings, entry("b"))
        assert [e.state for e in ledger.read(settings)] == ["killed", "running"]


@pytest.mark.parametrize("half", [b'{"run_id": "b", "wh', b'{"run_id": "a", "state": "publi', b"\xff\xfe", b"[1"])
def test_half_a_line_of_a_power_cut_hides_no_other_line(settings: Settings, half: bytes) -> None:
    ledger.begin(settings, entry("a"))
    ledger.end(settings, "a", ledger.LOADED, "done")
    with open(settings.home / "ledger.jsonl", "ab") as stream:
        stream.write(half)
    ledger.begin(settings, entry("c"))
    assert [(e.run_id, e.state) for e in ledger.read(settings)] == [("a", "loaded"), ("c", "killed")]


def test_the_ledger_is_only_ever_added_to(settings: Settings) -> None:
    file = settings.home / "ledger.jsonl"
    before = b""
    for number in range(3):
        ledger.begin(settings, entry(str(number)))
        ledger.end(settings, str(number), ledger.STOPPED, "stopped")
        assert file.read_bytes().startswith(before)
        before = file.read_bytes()
    assert before.count(b"\n") == 6


def test_a_run_that_cannot_be_written_down_does_not_begin(settings: Settings) -> None:
    (settings.home / "ledger.jsonl").mkdir()
    with pytest.raises(OSError, match="ledger"):
        ledger.begin(settings, entry("a"))


def test_a_long_reason_is_cut_and_says_so(settings: Settings) -> None:
    ledger.begin(settings, entry("a"))
    ledger.end(settings, "a", ledger.FAILED, "x" * 5000)
    assert ledger.read(settings)[0].result == "x" * 400 + " …"


def test_days_read_as_one_day_a_range_or_none() -> None:
    day = date(2024, 2, 29)
    assert entry("a", first=day, last=day).days == "2024-02-29"
    assert entry("a", first=None, last=None).days == "-"


def test_a_release_is_told_by_what_changed_in_it() -> None:
    old = release("20240301-0001", fct_orders="1", dim_customer="2", gone="3")
    new = release("20240301-0002", fct_orders="9", dim_customer="2", added="4")
    assert ledger.describe_release(new, None) == "release 20240301-0002, the first"
    assert ledger.describe_release(new, old) == "release 20240301-0002, 3 of 4 tables changed"
    assert ledger.describe_release(old, old).endswith("same content as 20240301-0001")
