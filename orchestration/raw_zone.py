"""The raw zone: accepted rows as Parquet per table and delivery day, and what is known of each delivery.

``raw/<table>/_partitions.json`` says which files make up each day. It is replaced by one rename, so that a
load of any number of days becomes visible at once or not at all; files that it does not name are leftovers
of a killed run and are swept by the next.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from orchestration import identity_files
from orchestration.contracts import Contract
from orchestration.rules import no_rows, quote_name, quote_text
from orchestration.settings import Settings

#: The file that says which files make up each delivery day of a table.
INDEX = "_partitions.json"


@dataclass(frozen=True)
class Partition:
    """One delivery day of one table.

    ``rows_read = rows_loaded + rows_quarantined + rows_duplicate + rows_elsewhere + rows_refused``; elsewhere are
    those that the contract's ``where`` leaves to other tables. A delivery that could not be accepted says why in
    ``failure``; all its readable rows are refused, and ``data`` then names the files of the last good delivery of the
    day, if there was one: ``last_good`` is the account of that one, which holds again when the bad one is withdrawn.

    ``drift`` says that the delivery is not as usual, and that it was refused for it or accepted by somebody.
    ``held`` is what was counted in the files of ``data``: by currency ('' where the table has none) the ``rows``
    and the exact sum of each number, as text.
    """

    day: date
    rows_read: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    rows_duplicate: int = 0
    rows_elsewhere: int = 0
    rows_refused: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    uncaptured: tuple[str, ...] = ()
    fingerprint: str = ""
    contract_version: str = ""
    contract_content: str = ""
    failure: str | None = None
    drift: Literal["", "accepted", "refused"] = ""
    data: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    held: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    last_good: "Partition | None" = None

    @property
    def rows_held(self) -> int:
        """Rows of the files in ``data``; of an index written before they were counted, those it says were loaded."""
        return sum(int(sums["rows"]) for sums in self.held.values()) if self.held else self.rows_loaded

    @property
    def loaded(self) -> bool:
        """Whether the latest delivery of the day was accepted."""
        return self.failure is None

    @property
    def good(self) -> "Partition | None":
        """The delivery whose rows are in the raw zone: the latest one, or the last good one before it."""
        return self if self.loaded else self.last_good

    @property
    def rows_own(self) -> int:
        """Rows delivered of this table, good and bad, those delivered twice once."""
        return self.rows_read - self.rows_elsewhere - self.rows_duplicate

    @property
    def rows_unaccounted(self) -> int:
        """Rows read of which nobody can say where they went; anything but 0 is a fault of Fidelis."""
        accounted = self.rows_loaded + self.rows_quarantined + self.rows_duplicate + self.rows_elsewhere
        return abs(self.rows_read - accounted - self.rows_refused)


def _decode(day: str, entry: Mapping[str, Any]) -> Partition:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    if known.get("last_good"):
        known["last_good"] = _decode(day, known["last_good"])
    return Partition(day=date.fromisoformat(day), **known)


def _encode(value: Any) -> Any:
    """For JSON: a delivery without its day, which is its name in the index."""
    return {k: v for k, v in vars(value).items() if k != "day"} if isinstance(value, Partition) else str(value)


def partitions(settings: Settings, table: str) -> dict[date, Partition]:
    """The known delivery days of a table, in order."""
    index = settings.raw_dir / table / INDEX
    if not index.exists():
        return {}
    stat = index.stat()
    return dict(_read_index(index, stat.st_mtime_ns, stat.st_ino))


@lru_cache(maxsize=64)
def _read_index(index: Path, modified_ns: int, inode: int) -> dict[date, Partition]:
    """The index as it was when it had this time and inode: each commit is a new file."""
    entries = json.loads(index.read_text())
    return {p.day: p for p in (_decode(day, entry) for day, entry in sorted(entries.items()))}


def counts(known: Iterable[Partition]) -> dict[str, int]:
    """The row accounting of delivery days."""
    known = list(known)
    return {
        "rows_read": sum(p.rows_read for p in known),
        "rows_loaded": sum(p.rows_loaded for p in known),
        "rows_quarantined": sum(p.rows_quarantined for p in known),
        "rows_duplicate": sum(p.rows_duplicate for p in known),
        "rows_elsewhere": sum(p.rows_elsewhere for p in known),
        "rows_refused": sum(p.rows_refused for p in known),
    }


def commit(settings: Settings, table: str, changed: Mapping[date, Partition]) -> None:
    """Make freshly written days visible in one rename, then drop the files that they replace.

    A day whose delivery failed keeps the files of its last good delivery.
    """
    known = partitions(settings, table)
    merged = dict(known)
    for day, partition in changed.items():
        before = known.get(day)
        if partition.failure is not None and before is not None:
            partition = replace(partition, data=before.data, held=before.held, last_good=before.good)
        merged[day] = partition
    folder = settings.raw_dir / table
    folder.mkdir(parents=True, exist_ok=True)
    entries = {day.isoformat(): partition for day, partition in sorted(merged.items())}
    write_durably(folder / INDEX, json.dumps(entries, separators=(",", ":"), default=_encode))
    for area, kept in (
        (settings.raw_dir, {f for p in merged.values() for f in p.data}),
        (settings.quarantine_dir, {f for p in merged.values() for d in (p, p.good) if d for f in d.quarantine}),
    ):
        _remove_unnamed(area / table, kept)


def _remove_unnamed(folder: Path, kept: set[str]) -> None:
    for path in folder.glob("delivery_date=*/*"):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink()
    for path in folder.glob("delivery_date=*"):
        if not any(path.iterdir()):
            path.rmdir()


def adopt(scratch: Path, folder: Path, token: str) -> dict[date, tuple[str, ...]]:
    """Move the partition files written in ``scratch`` into ``folder`` to stay, and return their names by day."""
    moved: dict[date, list[str]] = {}
    for number, path in enumerate(sorted(scratch.glob("delivery_date=*/*.parquet"))):
        day = path.parent.name
        target = folder / day / f"{token}-{number}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(path)
        path.rename(target)
        sync(target.parent)
        moved.setdefault(date.fromisoformat(day.removeprefix("delivery_date=")), []).append(
            target.relative_to(folder).as_posix()
        )
    return {day: tuple(names) for day, names in moved.items()}


def adopt_private(settings: Settings, scratch: Path, table: str, token: str) -> dict[date, tuple[str, ...]]:
    """``adopt`` into quarantine, which only the owner of the process may enter and read."""
    settings.quarantine_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.quarantine_dir.chmod(0o700)
    for path in scratch.glob("delivery_date=*/*.parquet"):
        path.chmod(0o600)
    return adopt(scratch, settings.quarantine_dir / table, token)


def write_durably(path: Path, text: str) -> None:
    """Replace a small file so that a crash leaves the old text or the new one, and a full disk nothing beside it."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    temporary.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make a flat folder and the files in it survive a power cut."""
    for path in (*(p for p in folder.iterdir() if p.is_file()), folder):
        sync(path)


def sweep(settings: Settings) -> None:
    """Remove what killed runs left behind: scratch folders and half-written indexes."""
    shutil.rmtree(scratch_dir(settings), ignore_errors=True)
    for leftover in settings.raw_dir.glob("*/*.tmp"):
        leftover.unlink()


def scratch_dir(settings: Settings) -> Path:
    """Where runs write aside; on the same file system as the raw zone, so that a rename is enough."""
    return settings.home / "scratch"


def stale_days(settings: Settings, contract: Contract) -> list[date]:
    """Days whose rows the contract would make otherwise today: load them again to apply it.

    A new version alone makes no day stale; an index from before contents were stored knows versions only.
    """
    goods = [p.good for p in partitions(settings, contract.table).values()]
    return [
        p.day
        for p in goods
        if p is not None
        and p.fingerprint
        and (p.contract_content or p.contract_version) not in (contract.content, contract.version)
    ]


def stale_sentence(contract: Contract, days: Sequence[date]) -> str:
    """Which days are stale, why, and what loads them again."""
    count = "1 day" if len(days) == 1 else f"{len(days):,} days"
    return (
        f"{contract.table}: {count} of {days[0]} to {days[-1]} loaded before the columns, types, rules or "
        f"expressions of {contract.file.name} changed; `fidelis run --from {days[0]} --to {days[-1]}` loads them again"
    )


def loaded_days(settings: Settings, contracts: Mapping[str, Contract]) -> Iterator[date]:
    """Every day of which some table has an accepted delivery."""
    for table in contracts:
        yield from (p.day for p in partitions(settings, table).values() if p.good and p.good.fingerprint)


def refusals(settings: Settings, tables: Iterable[str], first: date, last: date) -> list[str]:
    """Why deliveries of a window are refused, the first three of each table."""
    sentences = []
    for table in tables:
        refused = [p.failure for p in partitions(settings, table).values() if p.failure and first <= p.day <= last]
        sentences += refused[:3]
        if len(refused) > 3:
            sentences.append(f"{table}: {len(refused) - 3} more days like these")
    return sentences


def state(settings: Settings, contracts: Mapping[str, Contract]) -> str:
    """A fingerprint of all accepted rows and of decisions about identities: two equal ones give the same mart."""
    digest = sha256(identity_files.inputs(settings))
    for table in sorted(contracts):
        for good in (p.good for p in partitions(settings, table).values() if p.good is not None):
            digest.update(f"{table} {good.day} {good.fingerprint} {good.contract_version}\n".encode())
            digest.update(" ".join(good.data).encode())
    return digest.hexdigest()[:16]


def fingerprints(settings: Settings, contracts: Mapping[str, Contract]) -> dict[str, dict[str, str]]:
    """By table and delivery day, what tells one accepted delivery from another of the same day."""
    return {
        table: {
            str(day): p.good.fingerprint[:12]
            for day, p in partitions(settings, table).items()
            if p.good and p.good.fingerprint
        }
        for table in sorted(contracts)
    }


def relation(settings: Settings, contract: Contract, days: Set[date] | None = None) -> str:
    """SQL of the accepted rows of a table's delivery days (None: of all): the contract's columns and the technical ones, typed."""
    columns = [quote_name(c.name) for c in contract.columns] + ["_delivery_date", "_file"]
    folder = settings.raw_dir / contract.table
    known = partitions(settings, contract.table).values()
    files = [quote_text(folder / f) for p in known if days is None or p.day in days for f in p.data]
    if not files:
        return empty_relation(contract)
    if not stale_days(settings, contract):
        return f"select {', '.join(columns)} from read_parquet([{', '.join(files)}])"
    # a day loaded before the contract gained a column has none: its values are unknown until the day is loaded again
    return (
        f"select {', '.join(columns)} from ({empty_relation(contract)} union all by name "
        f"select * from read_parquet([{', '.join(files)}], union_by_name = true))"
    )


def empty_relation(contract: Contract) -> str:
    """SQL of the same columns without a row."""
    return no_rows({**{c.name: c.sql_type for c in contract.columns}, "_delivery_date": "date", "_file": "varchar"})
