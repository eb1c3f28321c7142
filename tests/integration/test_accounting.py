"""No row vanishes: whatever a file holds, records counted by Python's own reader are the rows accounted for."""

import csv
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from orchestration.contracts import Contract
from orchestration.extraction import extract
from orchestration.settings import Settings
from tests.support.world import (
    DAY,
    SALE_HEADER,
    csv_text,
    deliver,
    json_lines,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

DAYS = (date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3))
CONTENT = "sale_id, amount, quantity, sold_on, shop, note"

#: Each example loads files several times: a quarter of the examples of a property that only computes.
few_examples = examples.default.max_examples // 4
few = examples(max_examples=few_examples)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x01", exclude_categories=["Cs"]), max_size=6)
fields = st.one_of(
    texts, st.sampled_from(["", "1", "2.5", "-3", "2024-03-01", "north", "west", '"', "a\nb", " x ", "NULL"])
)
clean = st.builds(
    sale,
    st.integers(1, 6),
    note=fields,
    amount=st.sampled_from(["1.00", "2.50", "", "abc", "-1", "1,5"]),
    shop=st.sampled_from(["north", "south", "west", ""]),
)
wild = st.lists(fields, min_size=1, max_size=8).filter(lambda row: row != [""])


def csv_line(row: list[str]) -> str:
    quoted = ['"' + f.replace('"', '""') + '"' if set(f) & set(',"\n') or f != f.strip() else f for f in row]
    return ",".join(quoted) + "\n"


records = st.one_of(
    clean.map(lambda row: csv_line([row[name] for name in SALE_HEADER])),
    wild.map(csv_line),
    st.sampled_from(
        ["\n", "   \n", ",,,,,\n", '5" screen,1,1,2024-03-01,north,a "b" c\n', 'S1,"ab"cd,1,2024-03-01,north,\n']
    ),
)
files = st.lists(records, max_size=25).map("".join)


def world(folder: str, **options: Any) -> tuple[Settings, Contract]:
    options = {"toleratedBadRows": 1.0, **options}
    return settings_in(Path(folder)), sales_contract(Path(folder), **options)


def counted(path: Path) -> int:
    """Records that are not blank, without the header, as Python's csv module counts them."""
    with open(path, newline="", encoding="utf-8") as stream:
        return sum(1 for row in csv.reader(stream) if row) - 1


@few
@given(files, st.sampled_from([0.0, 0.3, 1.0]))
def test_rows_read_are_the_records_that_another_reader_counts(content: str, tolerated: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings, contract = world(folder, toleratedBadRows=tolerated, toleratedBadRowsAtLeast=0)
        path = deliver(settings, ",".join(SALE_HEADER) + "\n" + content)
        partition = load(settings, contract)  # holds read = loaded + quarantined + duplicate + refused
        assert partition.rows_read == counted(path)
        assert len(raw_rows(settings, contract)) == partition.rows_loaded
        assert len(quarantined(settings, contract)) == partition.rows_quarantined
        assert partition.loaded == (partition.rows_quarantined <= tolerated * partition.rows_read)


@few
@given(files)
def test_every_quarantined_record_is_found_at_its_line(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings, contract = world(folder)
        path = deliver(settings, ",".join(SALE_HEADER) + "\n" + content)
        load(settings, contract)
        with open(path, encoding="utf-8") as stream:
            lines = [text.removesuffix("\n") for text in stream]
        for line, raw_text in quarantined(settings, contract, "line, raw_text"):
            here = raw_text.split("\n")
            assert lines[line - 1 : line - 1 + len(here)] == here


@few
@given(
    st.lists(
        st.one_of(
            clean.map(lambda r: json_lines([r])), st.sampled_from(["\n", "  \n", "{x\n", "null\n", "[]\n", "7\n"])
        )
    )
)
def test_json_lines_are_accounted_for_to_the_line(content: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings, contract = world(folder, path="sales_{date}.jsonl", server={"format": "jsonl"})
        deliver(settings, "".join(content), "sales_2024-03-01.jsonl")
        partition = load(settings, contract)
        assert partition.rows_read == sum(1 for line in content if line != "\n")
        bad_lines = {line for (line,) in quarantined(settings, contract, "line")}
        assert len(bad_lines) == partition.rows_quarantined
        assert {
            n for n, line in enumerate(content, 1) if line in ("  \n", "{x\n", "null\n", "[]\n", "7\n")
        } <= bad_lines


deliveries = st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from("abc"), st.lists(clean, max_size=8)), max_size=8)


def loaded(rows: dict[tuple[date, str], list[dict[str, str]]], calls: list[list[date]], *, backwards: bool) -> Any:
    """The result of loading files by (day, folder) in these calls: rows without their numbers, and the counts."""
    with tempfile.TemporaryDirectory() as folder:
        settings, contract = world(folder, path="*/sales_{date}.csv")
        for (day, part), content in rows.items():
            deliver(settings, csv_text(content[::-1] if backwards else content), f"{part}/sales_{day}.csv")
        partitions = [p for days in calls for p in extract(settings, contract, days).values()]
        counts = {p.day: (p.rows_read, p.rows_loaded, p.rows_quarantined, p.rows_duplicate) for p in partitions}
        bad = quarantined(settings, contract, "_delivery_date, rules, key, raw_text")
        return raw_rows(settings, contract, f"_delivery_date, {CONTENT}"), counts, bad


@examples(max_examples=few_examples // 2)
@given(deliveries, st.permutations(DAYS))
def test_days_one_by_one_in_any_order_and_rows_in_any_order_give_the_same(
    delivered: list[tuple[date, str, list[dict[str, str]]]], order: list[date]
) -> None:
    rows = {(day, part): content for day, part, content in delivered}
    at_once = loaded(rows, [list(DAYS)], backwards=False)
    assert loaded(rows, [[day] for day in order], backwards=False) == at_once
    assert loaded(rows, [order, list(DAYS)], backwards=True) == at_once


def test_a_large_delivery_of_many_files_is_accounted_for_by_line(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path, threads=2), sales_contract(tmp_path, path="*/sales_{date}.csv")
    for part in range(4):
        rows = [sale(part * 20_000 + n, note="x\ny" if n % 3 else "z") for n in range(20_000)]
        for n in (7, 9_999, 19_998):
            rows[n]["shop"] = "west"
        deliver(settings, csv_text(rows), f"{part}/sales_2024-03-01.csv")
    assert load(settings, contract, DAY).rows_quarantined == 12
    # a note of two lines stands before each row whose number is not a multiple of three
    expected = [2 + n + n - len(range(0, n, 3)) for n in (7, 9_999, 19_998)]
    assert quarantined(settings, contract, "line") == sorted((line,) for line in expected * 4)
    assert raw_rows(settings, contract, "_file, count(*)", "true group by _file") == [
        (f"{part}/sales_2024-03-01.csv", 19_997) for part in range(4)
    ]
