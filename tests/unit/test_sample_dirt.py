"""Dirt lies on top of the sample: the clean rows stay, each addition is counted."""

import csv
import gzip
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestration.sample import generate
from orchestration.sample.layout import LAYOUTS

START, END, RATE = date(2024, 3, 1), date(2024, 5, 10), 0.05
CSV_TABLES = sorted(t for t, layout in LAYOUTS.items() if layout.path.endswith(".csv"))

Row = tuple[str, ...]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    clean, dirty = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("dirty")
    generate(clean, customers=400, start=START, end=END, seed=9)
    generate(dirty, customers=400, start=START, end=END, seed=9, dirt=RATE)
    return clean, dirty


def _ledger(folder: Path) -> dict[tuple[str, str], tuple[int, str]]:
    with (folder / "truth" / "dirt.csv").open(encoding="utf-8", newline="") as file:
        return {(r["table"], r["kind"]): (int(r["rows"]), r["expectation"]) for r in csv.DictReader(file)}


def _rows(folder: Path, table: str) -> tuple[Counter[Row], int]:
    """Rows by header name, and the number of rows that a strict reader refuses (fields, encoding)."""
    layout = LAYOUTS[table]
    rows: Counter[Row] = Counter()
    refused = 0
    for path in sorted(folder.glob(layout.name("*"))):
        text = path.read_bytes().decode("utf-8", "backslashreplace").splitlines()
        header, *body = csv.reader(text, delimiter=layout.delimiter)
        for fields in body:
            if len(fields) != len(header) or "\\x" in "".join(fields):
                refused += 1
                continue
            record = dict(zip(header, fields, strict=True))
            rows[tuple(record[h] for h in layout.header)] += 1
    return rows, refused


@pytest.mark.parametrize("table", CSV_TABLES)
def test_every_clean_row_is_still_there_and_each_addition_is_counted(table: str, folders: tuple[Path, Path]) -> None:
    clean, dirty = folders
    before, refused_before = _rows(clean, table)
    after, refused = _rows(dirty, table)
    ledger = {kind: value for (t, kind), value in _ledger(dirty).items() if t == table}
    assert refused_before == 0
    assert not before - after
    added = after - before
    fresh = sum(n for row, n in added.items() if row[0].startswith("X0"))
    repeated = sum(n for row, n in added.items() if row in before)
    assert fresh + repeated == added.total()
    twice = ("exact duplicate", "delivered again the next day")
    assert repeated == sum(ledger.get(kind, (0, ""))[0] for kind in twice)
    unreadable = ("too few fields", "too many fields", "wrong encoding")
    assert refused == sum(ledger.get(kind, (0, ""))[0] for kind in unreadable)
    made = sum(
        rows
        for kind, (rows, expectation) in ledger.items()
        if kind not in unreadable and expectation.startswith(("quarantined", "loaded, kept out"))
    )
    assert fresh == made


def test_web_events_keep_their_clean_rows(folders: tuple[Path, Path]) -> None:
    def events(folder: Path) -> tuple[Counter[str], int]:
        rows: Counter[str] = Counter()
        bad = 0
        for path in folder.glob(LAYOUTS["web_events"].name("*")):
            for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]:
                try:
                    record = json.loads(line)
                except (UnicodeDecodeError, json.JSONDecodeError):
                    bad += 1
                    continue
                record.pop("experiment", None)
                rows[json.dumps(record, sort_keys=True)] += 1
        return rows, bad

    (before, _), (after, bad) = events(folders[0]), events(folders[1])
    ledger = {kind: rows for (t, kind), (rows, _) in _ledger(folders[1]).items() if t == "web_events"}
    assert not before - after
    assert bad == ledger["truncated line"] + ledger["wrong encoding"]
    extra = ("exact duplicate", "delivered again the next day", "impossible date", "future date", "no visitor")
    assert (after - before).total() == sum(ledger[kind] for kind in extra)


def test_messages_keep_their_clean_rows(folders: tuple[Path, Path]) -> None:
    def messages(folder: Path) -> Counter[tuple[object, ...]]:
        columns = list(LAYOUTS["campaign_messages"].header)
        return Counter(
            tuple(row.values())
            for path in folder.glob(LAYOUTS["campaign_messages"].name("*"))
            for row in pq.read_table(path, columns=columns).to_pylist()
        )

    before, after = messages(folders[0]), messages(folders[1])
    ledger = {kind: rows for (t, kind), (rows, _) in _ledger(folders[1]).items() if t == "campaign_messages"}
    ledger.pop("extra column", None)
    assert not before - after
    assert (after - before).total() == sum(ledger.values()) > 0


def test_dirt_changes_no_truth_and_is_the_same_each_time(folders: tuple[Path, Path], tmp_path: Path) -> None:
    clean, dirty = folders
    for name in ("totals.csv", "customers.csv", "identities.csv", "campaigns.csv"):
        assert (clean / "truth" / name).read_bytes() == (dirty / "truth" / name).read_bytes()
    generate(tmp_path, customers=400, start=START, end=END, seed=9, dirt=RATE)
    for path in dirty.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(dirty)).read_bytes(), path.name


def test_every_kind_that_was_asked_for_is_there(folders: tuple[Path, Path]) -> None:
    kinds = {kind for _, kind in _ledger(folders[1])}
    assert kinds >= {
        "too few fields", "too many fields", "truncated line", "unknown order", "unknown order line",
        "unknown message", "exact duplicate", "delivered again the next day", "late file", "extra column",
        "columns in another order", "wrong encoding", "negative price", "negative quantity", "impossible date",
        "future date",
    }  # fmt: skip


def test_a_delivery_stays_below_what_the_contracts_tolerate(folders: tuple[Path, Path]) -> None:
    for table in ("orders", "order_lines", "customers", "returns"):
        layout = LAYOUTS[table]
        for path in folders[1].glob(layout.name("*")):
            text = path.read_bytes().decode("utf-8", "backslashreplace").splitlines()
            bad = sum("X0" in line or "\\x" in line for line in text)
            assert bad <= max(10, 0.02 * len(text)), path.name
