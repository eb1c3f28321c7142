"""Dirt on top of clean landing files.

The files are soiled after they are written, so that the clean rows and the truth stay as they are: bad rows
get keys of their own, repeated rows equal the ones before, moved rows are moved whole.
"""

import csv
import gzip
import io
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.sample import stains
from orchestration.sample.clock import Clock
from orchestration.sample.draws import Draws
from orchestration.sample.layout import LAYOUTS, Layout
from orchestration.sample.stains import (
    COLUMN_IGNORED,
    DROPPED,
    DUPLICATE,
    EXTRA_COLUMN,
    JSON_KINDS,
    KINDS,
    LATE,
    LOADED,
    QUARANTINED,
    REDELIVERED,
    REORDERED,
    SUPERSEDED,
)
from orchestration.sample.write import gzipped

# contracts tolerate 2 %, and ten rows at least, in a delivery; stay below both
_MOST_ROWS, _MOST_SHARE = 9, 0.018
# tables whose rows of a day may come a day later without meeting a later row of the same key
_LATE_TABLES = ("web_events", "returns", "campaign_reactions", "orders", "order_lines")
_REDELIVERED_TABLES = ("customers", "orders", "order_lines", "returns", "web_events", "campaign_reactions")


@dataclass
class Ledger:
    """Rows and files by table, kind and expectation."""

    rows: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    files: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    last_key: int = 0

    def note(self, table: str, kind: str, expectation: str, rows: int, path: Path) -> None:
        """Count rows of a kind in a file."""
        if rows:
            self.rows[table, kind, expectation] += rows
            self.files[table, kind, expectation].add(path.name)

    def fresh(self) -> int:
        """A number for a key never used before."""
        self.last_key += 1
        return self.last_key

    def write(self, path: Path) -> None:
        """Write `dirt.csv`."""
        text = ["table,kind,rows,files,expectation"]
        for key in sorted(self.rows):
            table, kind, expectation = key
            text.append(f'{table},{kind},{self.rows[key]},{len(self.files[key])},"{expectation}"')
        path.write_bytes(("\n".join(text) + "\n").encode())


def soil(out: Path, clock: Clock, seed: int, rate: float) -> None:
    """Add dirt to the landing files under `out` and count it in `truth/dirt.csv`.

    `rate` is the number of bad rows for one clean row, and the share of days with a late file or a changed
    header; a delivery never has more bad rows than the contracts tolerate. Without a rate the count is empty.
    """
    ledger = Ledger()
    for table, layout in LAYOUTS.items() if rate > 0 else ():
        draws = Draws(seed, f"dirt {table}")
        if layout.path.endswith(".parquet"):
            _soil_parquet(out, table, layout, clock, draws, rate, ledger)
        else:
            _soil_text(out, table, layout, clock, draws, rate, ledger)
    ledger.write(out / "truth" / "dirt.csv")


def _read(path: Path) -> list[bytes]:
    """Lines of a text file without their line feeds, the header first if it has one."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return text.split(b"\n")[:-1]


def _write(path: Path, lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzipped(text) if path.suffix == ".gz" else text)


def _key(line: bytes, layout: Layout) -> bytes:
    """The first field, or the beginning of a JSON object, which is its identifier."""
    return line.split(b'","', 1)[0] if layout.path.endswith(".gz") else line.split(layout.delimiter.encode(), 1)[0]


def _soil_text(out: Path, table: str, layout: Layout, clock: Clock, draws: Draws, rate: float, ledger: Ledger) -> None:
    paths = [out / layout.name(d.isoformat()) for d in clock.dates]
    free = {d for d, path in enumerate(paths) if path.exists()}
    special = sorted(d for d in free if d and d - 1 in free)
    wanted = max(1, int(rate * len(special)))
    head = 1 if layout.head() else 0
    order = [special[k] for k in draws.order(len(special)).tolist()]
    if table in _LATE_TABLES:
        for day in order:
            if wanted and day in free and day - 1 in free:
                wanted -= 1
                free -= {day - 1, day}
                _move(paths[day - 1], paths[day], table, layout, head, ledger)
    changes = [EXTRA_COLUMN, REORDERED] if head else [EXTRA_COLUMN]
    headers: dict[int, str] = {}
    left = sorted(free - {0})
    for k, place in enumerate(draws.order(len(left))[: max(len(changes), int(rate * len(left)))].tolist()):
        headers[left[place]] = changes[k % len(changes)]
    free -= headers.keys()
    _soil_rows(paths, sorted(free), table, layout, draws, rate, ledger)
    for day, change in headers.items():
        _change_header(paths[day], table, layout, change, ledger)


def _move(before: Path, after: Path, table: str, layout: Layout, head: int, ledger: Ledger) -> None:
    """Rows of a day go into the next day's file, but for those whose key comes there again."""
    early, late = _read(before), _read(after)
    taken = {_key(line, layout) for line in late[head:]}
    moving = [line for line in early[head:] if _key(line, layout) not in taken]
    staying = [line for line in early[head:] if _key(line, layout) in taken]
    if staying or layout.required:
        _write(before, early[:head] + staying)
    else:
        before.unlink()
    _write(after, late[:head] + moving + late[head:])
    ledger.note(table, LATE, LOADED, len(moving), after)


def _soil_rows(
    paths: list[Path], days: list[int], table: str, layout: Layout, draws: Draws, rate: float, ledger: Ledger
) -> None:
    head = 1 if layout.head() else 0
    names = {name: k for k, name in enumerate(layout.header)}
    is_json = layout.path.endswith(".gz")
    made = [kind.name for kind in KINDS.get(table, ())] + ([name for name, _ in JSON_KINDS] if is_json else [])
    kinds = [*made, DUPLICATE] + ([REDELIVERED] if table in _REDELIVERED_TABLES else [])
    pending: list[bytes] = []
    pending_from = -2
    for day in days:
        lines = _read(paths[day])
        good = lines[head:]
        again = []
        if pending_from == day - 1:
            present = {_key(line, layout) for line in good}
            again = [line for line in pending if _key(line, layout) not in present]
            ledger.note(table, REDELIVERED, SUPERSEDED, len(again), paths[day])
        pending, pending_from = [], day
        room = max(_MOST_ROWS, int(_MOST_SHARE * len(good)))
        count = min(room, int(rate * len(good) + float(draws.uniform(1)[0])))
        chosen = draws.integers(0, len(kinds), count).tolist()
        sources = draws.integers(0, max(len(good), 1), count).tolist()
        added: list[bytes] = []
        for kind, source in zip(chosen, sources, strict=True):
            line = good[source]
            if kinds[kind] == REDELIVERED:
                pending.append(line)
            elif kinds[kind] == DUPLICATE:
                added.append(line)
                ledger.note(table, DUPLICATE, DROPPED, 1, paths[day])
            elif is_json:
                added.append(JSON_KINDS[kind][1](line, ledger.fresh()))
                ledger.note(table, kinds[kind], QUARANTINED, 1, paths[day])
            elif b'"' not in line:
                dirty = KINDS[table][kind]
                fields = dirty.stain(line.split(layout.delimiter.encode()), names, ledger.fresh())
                added.append(layout.delimiter.encode().join(fields))
                ledger.note(table, dirty.name, dirty.expectation, 1, paths[day])
        pending = list(dict.fromkeys(pending))
        places = draws.integers(0, len(good) + 1, len(added)).tolist()
        for place, line in sorted(zip(places, added, strict=True), reverse=True):
            good.insert(place, line)
        if added or again:
            _write(paths[day], lines[:head] + good + again)


def _change_header(path: Path, table: str, layout: Layout, change: str, ledger: Ledger) -> None:
    """An unknown column, or the last column first; readers go by names and must not mind."""
    lines = _read(path)
    if not layout.head():
        _write(path, [b'{"experiment":"b",' + line[1:] for line in lines])
        ledger.note(table, change, COLUMN_IGNORED, len(lines), path)
        return
    rows = list(csv.reader(io.StringIO("\n".join(line.decode() for line in lines)), delimiter=layout.delimiter))
    if change == EXTRA_COLUMN:
        rows = [[*row[:1], "internal_note" if k == 0 else "n/a", *row[1:]] for k, row in enumerate(rows)]
    else:
        rows = [[row[-1], *row[:-1]] for row in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=layout.delimiter, lineterminator="\n").writerows(rows)
    path.write_bytes(text.getvalue().encode())
    expectation = COLUMN_IGNORED if change == EXTRA_COLUMN else LOADED
    ledger.note(table, change, expectation, max(len(rows) - 1, 1), path)


def _soil_parquet(
    out: Path, table: str, layout: Layout, clock: Clock, draws: Draws, rate: float, ledger: Ledger
) -> None:
    """Messages without a customer, dated far ahead, or twice; a column nobody asked for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = ("missing customer", "future date", DUPLICATE)
    for day, date in enumerate(clock.dates):
        path = out / layout.name(date.isoformat())
        if not path.exists():
            continue
        data = pq.read_table(path)
        room = max(_MOST_ROWS, int(_MOST_SHARE * len(data)))
        count = min(room, int(rate * len(data) + float(draws.uniform(1)[0])))
        chosen = draws.integers(0, len(kinds), count).tolist()
        sources = draws.integers(0, len(data), count).tolist()
        rows = []
        for kind, source in zip(chosen, sources, strict=True):
            row = data.slice(source, 1).to_pylist()[0]
            if kinds[kind] != DUPLICATE:
                row["message_id"] = f"X{ledger.fresh():09d}"
            if kinds[kind] == "missing customer":
                row["customer_no"] = None
            if kinds[kind] == "future date":
                row["sent_at"] += stains.FAR_AHEAD
            rows.append(row)
            ledger.note(table, kinds[kind], DROPPED if kinds[kind] == DUPLICATE else QUARANTINED, 1, path)
        data = pa.concat_tables([data, pa.Table.from_pylist(rows, schema=data.schema)])
        if day % 3 == 0:
            data = data.append_column("internal_note", pa.array(["n/a"] * len(data)))
            ledger.note(table, EXTRA_COLUMN, COLUMN_IGNORED, len(data), path)
        pq.write_table(data, path, compression="zstd")
