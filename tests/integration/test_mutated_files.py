"""300 damaged deliveries: none ends in a traceback, no record is unaccounted, no wrong value is loaded.

The oracle is plain Python: csv, json, Decimal, date. A loaded row must equal, in every captured column, a record that it
reads from the mutated bytes themselves; a file that DuckDB and Python read differently must not load that row.
"""

import csv
import gzip
import io
import json
import random
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from benchmarks.stream_one_gigabyte import BAD_EVERY
from benchmarks.stream_one_gigabyte import main as stream_one_gigabyte
from orchestration.extraction import extract
from tests.support.world import (
    SALE_HEADER,
    assert_accounted,
    csv_text,
    deliver,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

FIRST = date(2024, 1, 1)
ROWS = 12
VALUES = [
    "1e5", "0x1F", "１２", "NaN", "Infinity", "-0", "1 000", "1,5", "12.345", "+7", "", " ", "007", "1_000",  # noqa: RUF001
    "99999999999999999999", "123456789012345.678", "-1", "0000-01-01", "10000-01-01", "2023-02-29", "2024-02-29",
    "31/12/2024", "12/31/2024", "2024-13-01", "infinity", "epoch", "a\0b", "\0", "\ufeff", "é", "\u2028", '"', '"x', 'x"y',
    "a,b", "a\nb", "a\rb", "\\", "'", "NULL", "null", "None", "true", "2024-03-01 00:00:00", "\x85", "\x1a", "\x01",
]  # fmt: skip


def original(seed: int) -> list[dict[str, str]]:
    return [sale(n, day=str(FIRST + timedelta(days=seed)), note=f"note {n}") for n in range(1, ROWS + 1)]


def damaged(seed: int, text: str) -> bytes:  # noqa: C901 - a list of kinds reads best as one
    """The bytes of a delivery after one kind of damage."""
    chance = random.Random(seed)
    data = bytearray(text.encode())
    kind = seed % 14
    if kind == 0:  # some bytes flipped
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:  # cut off
        del data[chance.randrange(len(data)) :]
    elif kind == 2:  # quotes put in or taken out
        for _ in range(chance.randint(1, 4)):
            data.insert(chance.randrange(len(data)), ord('"'))
    elif kind == 3:  # zero bytes and control bytes put in
        for _ in range(chance.randint(1, 3)):
            data.insert(chance.randrange(len(data)), chance.choice([0, 1, 26, 127, 9, 13, 11]))
    elif kind == 4:  # byte order mark, once or twice, or in the middle
        position = chance.choice([0, 0, data.index(b"\n") + 1, chance.randrange(len(data))])
        data[position:position] = b"\xef\xbb\xbf" * chance.randint(1, 2)
    elif kind == 5:  # another encoding
        return text.replace("note", "noté €").encode(
            chance.choice(["utf-16", "utf-16-le", "cp1252", "utf-32", "utf-8"])
        )
    elif kind == 6:  # other line ends, some or all
        ends = chance.choice([["\r\n"], ["\r"], ["\n", "\r\n"], ["\n", "\r"], ["\n", "\n\n"], ["\n\r"]])
        return "".join(line + chance.choice(ends) for line in text.split("\n")).encode()
    elif kind == 7:  # delimiters put in or taken out
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = ord(chance.choice(",;\n"))
    elif kind == 8:  # a line repeated, torn in two, or joined with the next
        lines = text.split("\n")
        spot = chance.randrange(len(lines) - 1)
        change = chance.choice(["repeat", "tear", "join"])
        if change == "repeat":
            lines.insert(spot, lines[spot])
        elif change == "tear":
            cut = chance.randrange(len(lines[spot]) + 1)
            lines[spot : spot + 1] = [lines[spot][:cut], lines[spot][cut:]]
        else:
            lines[spot : spot + 2] = [lines[spot] + lines[spot + 1]]
        return "\n".join(lines).encode()
    elif kind == 9:  # a stretch of bytes replaced by noise
        start = chance.randrange(len(data))
        data[start : start + chance.randint(1, 30)] = chance.randbytes(chance.randint(1, 30))
    elif kind == 10:  # two stretches exchanged
        a, b = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
        data = data[b:] + data[a:b] + data[:a]
    elif kind == 11:  # a header alone, nothing at all, a column twice, another table's file, fields too many and empty
        lines = text.splitlines(keepends=True)
        change = chance.choice(["no rows", "nothing", "blank", "twice", "stranger", "open ends"])
        if change == "open ends":
            return "".join(f"{line.rstrip()}{',' * chance.choice([0, 0, 1, 2])}\n" for line in lines).encode()
        return {
            "no rows": lines[0],
            "nothing": "",
            "blank": "\n\n",
            "twice": text.replace("note", "qty"),
            "stranger": "sku,price\nA-1,2.00\n" if text.startswith("id,") else '{"sku": "A-1", "price": 2}\n',
        }[change].encode()
    return bytes(data)


def look_alikes(seed: int) -> list[dict[str, str]]:
    """The rows of a delivery of which some values look like others."""
    chance, rows = random.Random(seed), original(seed)
    if seed % 14 >= 12:
        for _ in range(chance.randint(1, 5)):
            chance.choice(rows)[chance.choice(SALE_HEADER)] = chance.choice(VALUES)
    return rows


def as_json(seed: int) -> str:
    """Look-alikes as JSON lines, those that Python reads as numbers sometimes as numbers."""
    lines = []
    for row in look_alikes(seed):
        fields = []
        for name, value in row.items():
            is_number = name in ("amount", "qty") and re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[0-9]+)?", value)
            fields.append(f"{json.dumps(name)}: {value if is_number and seed % 2 else json.dumps(value)}")
        lines.append("{" + ", ".join(fields) + "}\n")
    return "".join(lines)


def records_in(content: bytes, kind: str) -> int | None:
    """How many records Python finds; None where it cannot tell: quotes in odd places, zero bytes, a record beyond the end."""
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if kind == "jsonl":
        return sum(bool(line) for line in re.split(r"\r\n|\r|\n", text))
    if '"' in text or "\0" in text:
        return None
    return max(sum(bool(line) for line in re.split(r"\r\n|\r|\n", text)) - 1, 0)


def typed(fields: dict[str, str | None]) -> tuple[Any, ...] | None:
    """A record as Python types it; None where one of its values is not of its column's type."""
    try:
        amount, quantity, day = (fields[name] for name in ("amount", "qty", "day"))
        if day is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day, re.ASCII):
            return None
        if any(text is not None and "_" in text for text in (amount, quantity)):
            return None
        return (
            fields["id"],
            None if amount is None else Decimal(amount),
            None if quantity is None else int(quantity),
            None if day is None else date.fromisoformat(day),
            fields["shop"],
            fields["note"],
        )
    except (InvalidOperation, ValueError):
        return None


def csv_oracle(content: bytes) -> Counter[tuple[Any, ...]]:
    """The records that Python's csv finds, typed."""
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), strict=False)
    header = [name.strip() for name in next(reader, [])]
    found: Counter[tuple[Any, ...]] = Counter()
    for fields in reader:
        if len(fields) == len(header) and set(SALE_HEADER) <= set(header):
            row = typed({name: value or None for name, value in zip(header, fields, strict=True)})
            found.update([row] if row else [])
    return found


def json_oracle(content: bytes) -> Counter[tuple[Any, ...]]:
    """The objects that Python's json finds, typed; a number counts with every digit, a CR may end a line or be a space."""
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _objects(text.split("\n")) | _objects(re.split(r"\r\n|\r|\n", text))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _objects(lines: list[str]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for line in lines:
        try:  # the reader of lines splits at byte 1, which is in no JSON; one at the end is nothing
            value = json.loads(
                line.removesuffix("\x01"), parse_float=str, parse_int=str, object_pairs_hook=_without_repeats
            )
        except ValueError:
            continue
        if isinstance(value, dict):
            row = typed({n: None if value.get(n) in (None, "") else str(value[n]) for n in SALE_HEADER})
            found.update([row] if row else [])
    return found


@pytest.mark.parametrize(("ending", "count"), [("csv", 160), ("csv.gz", 42), ("jsonl", 98)])
def test_nothing_wrong_is_loaded_from_damaged_files_and_no_record_is_lost(
    tmp_path: Path, ending: str, count: int
) -> None:
    settings = settings_in(tmp_path, first_day=FIRST)
    kind = "jsonl" if ending == "jsonl" else "csv"
    contract = sales_contract(
        tmp_path,
        path="sales_{date}." + ending,
        server={"format": kind},
        toleratedBadRows=1,
        toleratedBadRowsAtLeast=1000,
    )
    contents: dict[date, bytes] = {}
    for seed in range(count):
        content = damaged(seed, csv_text(look_alikes(seed)) if kind == "csv" else as_json(seed))
        day = FIRST + timedelta(days=seed)
        contents[day] = content
        packed = gzip.compress(content) if ending.endswith(".gz") else content
        (settings.landing_dir / f"sales_{day}.{ending}").write_bytes(packed)
    partitions = extract(settings, contract, list(contents))
    assert set(partitions) == set(contents)
    oracle = csv_oracle if kind == "csv" else json_oracle
    loaded: dict[date, list[tuple[Any, ...]]] = {}
    for day, *row in raw_rows(settings, contract, "_delivery_date, sale_id, amount, quantity, sold_on, shop, note"):
        loaded.setdefault(day, []).append(tuple(row))
    bad = Counter(day for (day,) in quarantined(settings, contract, "_delivery_date"))
    problems, counted = [], 0
    for day, partition in partitions.items():
        seed = (day - FIRST).days
        assert_accounted(partition)
        assert partition.failure is None or "\n" not in partition.failure
        assert len(loaded.get(day, [])) == partition.rows_loaded
        assert bad[day] == partition.rows_quarantined
        expected = records_in(contents[day], kind)
        if partition.loaded and expected is not None:
            counted += 1
            assert (seed, partition.rows_read) == (seed, expected)
        assert partition.loaded or partition.rows_loaded == len(loaded.get(day, [])) == 0
        invented = Counter(loaded.get(day, [])) - oracle(contents[day])
        if invented:
            problems.append((seed, seed % 14, list(invented)[:2]))
    assert problems == []
    assert sum(p.loaded for p in partitions.values()) > count / 2
    assert counted > count / 3
    assert all(line is not None for (line,) in quarantined(settings, contract, "line"))


# ------------------------------------------------------------------- formats that are not lines of text, and packed ones


def packed(seed: int, whole: bytes) -> tuple[bytes, bool]:
    """A file of a binary format after some damage, and whether a reader may still take it for whole."""
    chance = random.Random(seed)
    data = bytearray(whole)
    kind = seed % 6
    if kind == 0:
        del data[chance.randrange(len(data)) :]
    elif kind == 1:
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        start = chance.randrange(len(data))
        data[start : start + 40] = chance.randbytes(40)
    elif kind == 3:
        return chance.choice([b"", b"\0" * 100, b"id,amount\n1,2\n", chance.randbytes(500)]), False
    elif kind == 4:
        del data[: chance.randrange(1, len(data))]
    return bytes(data), kind in (1, 2, 5)


def parquet_bytes(folder: Path, rows: str) -> bytes:
    duckdb.execute(f"copy ({rows}) to '{folder / 'whole.parquet'}' (format parquet, compression snappy)")
    return (folder / "whole.parquet").read_bytes()


def excel_bytes(rows: list[dict[str, str]]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(list(SALE_HEADER))
    for row in rows:
        book.active.append([row[name] for name in SALE_HEADER])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize("ending", ["parquet", "xlsx", "csv.gz"])
def test_a_damaged_packed_file_is_refused_whole_or_read_whole(tmp_path: Path, ending: str) -> None:
    settings = settings_in(tmp_path, first_day=FIRST)
    server = {"format": "csv" if ending == "csv.gz" else ending}
    contract = sales_contract(
        tmp_path, path="sales_{date}." + ending, server=server, toleratedBadRows=1, toleratedBadRowsAtLeast=1000
    )
    texts = [sale(n, day=str(FIRST), note=f"note {n}") for n in range(1, ROWS + 1)]
    values = ", ".join(f"({', '.join(repr(v) for v in row.values())})" for row in texts)
    whole = {
        "parquet": lambda: parquet_bytes(tmp_path, f"select * from (values {values}) t({', '.join(SALE_HEADER)})"),
        "xlsx": lambda: excel_bytes(texts),
        "csv.gz": lambda: gzip.compress(csv_text(texts).encode()),
    }[ending]()
    days = [FIRST + timedelta(days=n) for n in range(36)]
    readable = {}
    for seed, day in enumerate(days):
        content, readable[day] = packed(seed, whole)
        (settings.landing_dir / f"sales_{day}.{ending}").write_bytes(content)
    partitions = extract(settings, contract, days)
    true_rows = Counter((r["id"], Decimal(r["amount"]), int(r["qty"]), FIRST, r["shop"], r["note"]) for r in texts)
    loaded: dict[date, Counter[tuple[Any, ...]]] = {}
    for day, *row in raw_rows(settings, contract, "_delivery_date, sale_id, amount, quantity, sold_on, shop, note"):
        loaded.setdefault(day, Counter()).update([tuple(row)])
    for day, partition in partitions.items():
        assert_accounted(partition)
        assert readable[day] or not partition.loaded
        assert "\n" not in (partition.failure or "")
        if ending != "parquet":  # it has checksums; a byte changed within a page of Parquet is a value like another
            assert loaded.get(day, Counter()) in (Counter(), true_rows)
            assert partition.rows_loaded in (0, ROWS)
        elif partition.loaded:
            assert partition.rows_read == ROWS
    assert [day for day in days[5::6] if partitions[day].rows_loaded != ROWS] == []


def test_gzip_files_written_one_after_another_are_one_file(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="sales_{date}.csv.gz")
    head, tail = csv_text([sale(1), sale(2)]).encode(), b"S3,1.50,1,2024-03-01,north,x\n"
    (settings.landing_dir / "sales_2024-03-01.csv.gz").write_bytes(gzip.compress(head) + gzip.compress(tail))
    assert (load(settings, contract).rows_read, len(raw_rows(settings, contract))) == (3, 3)


def test_parquet_columns_of_other_types_are_typed_strictly_or_set_aside(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, first_day=FIRST)
    contract = sales_contract(
        tmp_path,
        path="sales_{date}.parquet",
        server={"format": "parquet"},
        toleratedBadRows=1,
        toleratedBadRowsAtLeast=9,
    )
    cases = {  # SQL of qty and amount, and what is loaded of them
        "2::tinyint as qty, 1.5::float as amount": (2, Decimal("1.50")),
        "2::double as qty, '1.5' as amount": (2, Decimal("1.50")),
        "2.5 as qty, 1 as amount": None,
        "2::hugeint * 10::hugeint ** 30 as qty, 1 as amount": None,
        "'0x1F' as qty, 1 as amount": None,
        "[2] as qty, 1 as amount": None,
        "{'a': 2} as qty, 1 as amount": None,
        "date '2024-01-01' as qty, 1 as amount": None,
        "2 as qty, 'nan'::double as amount": None,
        "2 as qty, 1.005 as amount": None,
        "2 as qty, 1e30::double as amount": None,
        "null::integer as qty, null as amount": (None, None),
    }
    for n, columns in enumerate(cases):
        duckdb.execute(
            f"copy (select 'S1' as id, {columns}, date '2024-01-01' as day, 'north' as shop, '' as note) "
            f"to '{settings.landing_dir}/sales_{FIRST + timedelta(days=n)}.parquet'"
        )
    partitions = extract(settings, contract, [FIRST + timedelta(days=n) for n in range(len(cases))])
    rows = {day: (q, a) for day, q, a in raw_rows(settings, contract, "_delivery_date, quantity, amount")}
    assert {c: rows.get(FIRST + timedelta(days=n)) for n, c in enumerate(cases)} == cases
    assert all(p.loaded and p.rows_read == 1 for p in partitions.values())


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_refuses_its_file_with_its_line(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(
        settings, csv_text([sale(1)]) + "S2,1.50,1,2024-03-01,north," + "x" * 100_000_000 + "\n" + csv_text([sale(3)])
    )
    failure = load(settings, contract).failure
    assert failure is not None
    assert "has a line of more than 16,000,000 bytes (line 3)" in failure
    assert raw_rows(settings, contract) == []


@pytest.mark.slow
def test_one_gigabyte_streams_within_two_gigabytes_of_memory(tmp_path: Path) -> None:
    figures = stream_one_gigabyte(1.0, tmp_path)
    assert figures["file_mb"] > 900
    assert figures["peak_mb"] < 2000
    assert figures["read"] == figures["rows"] == figures["loaded"] + figures["quarantined"]
    assert figures["quarantined"] == len(range(7, int(figures["rows"]), BAD_EVERY))
