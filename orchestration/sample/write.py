"""Landing files: one per table and day, cut from text that is made for many days at once."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.sample.clock import Clock
from orchestration.sample.draws import Ints
from orchestration.sample.layout import LAYOUTS

# rows rendered at once: bounds the memory, whatever the size of the sample
CHUNK = 300_000


def gzipped(data: bytes) -> bytes:
    """A gzip member without time or name, so that the same text gives the same bytes."""
    packer = zlib.compressobj(4, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    return (
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
        + body
        + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    )


def _bounds(day: Ints, days: int) -> Ints:
    """First row of each day, and the end, of rows sorted by day."""
    return np.searchsorted(day, np.arange(days + 1)).astype(np.int64)


def _chunks(bounds: Ints) -> list[tuple[int, int]]:
    """Ranges of whole days of at most CHUNK rows, or one day where a day has more."""
    ranges, first = [], 0
    for day in range(1, len(bounds)):
        if bounds[day] - bounds[first] > CHUNK and day - 1 > first:
            ranges.append((first, day - 1))
            first = day - 1
    ranges.append((first, len(bounds) - 1))
    return ranges


def write_text(out: Path, table: str, clock: Clock, day: Ints, render: Callable[[int, int], Any]) -> int:
    """Write one file per day; `render(lo, hi)` gives rows lo to hi, each with its line feed.

    `day` is the delivery day of each row, not decreasing. Days without rows have a file with the header
    alone if the table is required daily, else none. Returns the rows written.
    """
    layout = LAYOUTS[table]
    head, pack = layout.head(), layout.path.endswith(".gz")
    bounds = _bounds(day, clock.days)
    (out / layout.path).parent.mkdir(parents=True, exist_ok=True)
    for first, last in _chunks(bounds):
        low, high = int(bounds[first]), int(bounds[last])
        if high > low:
            rows = render(low, high)
            _, offsets, data = rows.buffers()
            cuts = np.frombuffer(offsets, dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1]
            text = memoryview(data)
        for d in range(first, last):
            lo, hi = int(bounds[d]), int(bounds[d + 1])
            if lo == hi and not layout.required:
                continue
            body = bytes(text[cuts[lo - low] : cuts[hi - low]]) if hi > lo else b""
            content = gzipped(head + body) if pack else head + body
            (out / layout.name(clock.dates[d].isoformat())).write_bytes(content)
    return len(day)


def write_lists(out: Path, table: str, clock: Clock, files: dict[int, list[str]]) -> int:
    """Write short lists of rows, one file for each day given; returns the rows written."""
    layout = LAYOUTS[table]
    (out / layout.path).parent.mkdir(parents=True, exist_ok=True)
    for day, rows in files.items():
        text = "".join(f"{row}\n" for row in rows)
        (out / layout.name(clock.dates[day].isoformat())).write_bytes(layout.head() + text.encode())
    return sum(len(rows) for rows in files.values())


def write_parquet(out: Path, table: str, clock: Clock, day: Ints, slices: Callable[[int, int], Any]) -> int:
    """Write one Parquet file for each day that has rows; returns the rows written."""
    import pyarrow.parquet as pq

    layout = LAYOUTS[table]
    bounds = _bounds(day, clock.days)
    (out / layout.path).parent.mkdir(parents=True, exist_ok=True)
    for d in np.flatnonzero(np.diff(bounds)).tolist():
        rows = slices(int(bounds[d]), int(bounds[d + 1]))
        pq.write_table(rows, out / layout.name(clock.dates[d].isoformat()), compression="zstd")
    return len(day)
