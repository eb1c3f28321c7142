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

import pytest

from orchestration.extraction import extract
from tests.support.world import (
    SALE_HEADER,
    assert_accounted,
    csv_text,
    json_lines,
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
    else:  # values that look like others
        for _ in range(chance.randint(1, 5)):
            line, column = chance.randrange(1, ROWS), chance.choice(SALE_HEADER)
            rows = text.split("\n")
            fields = rows[line].split(",")
            if len(fields) == len(SALE_HEADER):
                fields[SALE_HEADER.index(column)] = chance.choice(VALUES)
                rows[line] = ",".join(fields)
            text = "\n".join(rows)
        return text.encode()
    return bytes(data)


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


def _objects(lines: list[str]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for line in lines:
        try:  # the reader of lines splits at byte 1, which is in no JSON; one at the end is nothing
            value = json.loads(line.removesuffix("\x01"), parse_float=str, parse_int=str)
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
        rows = original(seed)
        content = damaged(seed, csv_text(rows) if kind == "csv" else json_lines(rows))
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
    problems = []
    for day, partition in partitions.items():
        seed = (day - FIRST).days
        assert_accounted(partition)
        assert partition.failure is None or "\n" not in partition.failure
        assert len(loaded.get(day, [])) == partition.rows_loaded
        assert bad[day] == partition.rows_quarantined
        invented = Counter(loaded.get(day, [])) - oracle(contents[day])
        if invented:
            problems.append((seed, seed % 14, list(invented)[:2]))
    assert problems == []
    assert sum(p.loaded for p in partitions.values()) > count / 2
    assert all(line is not None for (line,) in quarantined(settings, contract, "line"))
