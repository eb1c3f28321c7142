"""The ledger of runs: who ran which days, why, and what came of it.

``FIDELIS_HOME/ledger.jsonl`` gets a line when a run begins to write and one when it ends, each on the disk before the
run goes on. Both are written under the writer's lock: a run that has no end is the one that holds the lock, or was
killed. Dagster's own history of runs can be pruned; this file is only ever added to.
"""

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestration.raw_zone import sync
from orchestration.releases import Release
from orchestration.settings import Settings

#: States of a run that has ended by itself.
PUBLISHED, LOADED, FAILED, STOPPED = "published", "loaded", "failed", "stopped"
#: States of a run without an end.
RUNNING, KILLED = "running", "killed"

_LONGEST_RESULT = 400


@dataclass(frozen=True)
class Entry:
    """One run: ``first`` and ``last`` are its delivery days, ``tables`` those loaded, ``source`` who launched it."""

    run_id: str
    who: str
    source: str
    why: str
    first: date | None
    last: date | None
    tables: str
    options: str
    began: datetime
    state: str = RUNNING
    result: str = ""
    ended: datetime | None = None

    @property
    def days(self) -> str:
        """The delivery days, for people."""
        if self.first is None:
            return "-"
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


def writer_lock(settings: Settings) -> FileLock:
    """The lock of the one process that may write. The kernel frees it when that process dies."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return FileLock(settings.home / "writer.lock")


def os_user() -> str:
    """Who runs this process; a container's user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def begin(settings: Settings, entry: Entry) -> None:
    """Write that a run begins. Raises OSError where that cannot be written: a run leaves a trace, or is none."""
    _append(settings, {name: value for name, value in vars(entry).items() if name not in ("state", "result", "ended")})


def end(settings: Settings, run_id: str, state: str, result: str) -> None:
    """Write what came of a run."""
    sentence = " ".join(result.split())
    if len(sentence) > _LONGEST_RESULT:
        sentence = sentence[:_LONGEST_RESULT] + " …"
    _append(settings, {"run_id": run_id, "state": state, "result": sentence, "ended": datetime.now(UTC)})


def read(settings: Settings) -> list[Entry]:
    """All runs, the oldest first."""
    entries: dict[str, Entry] = {}
    for line in _lines(_file(settings)):
        if "began" in line:
            entries[line["run_id"]] = _entry(line)
        elif line.get("run_id") in entries:
            entries[line["run_id"]] = replace(
                entries[line["run_id"]], state=line["state"], result=line["result"], ended=_moment(line["ended"])
            )
    open_ones = [run_id for run_id, entry in entries.items() if entry.ended is None]
    for run_id in open_ones:
        if run_id != next(reversed(entries)) or not _is_writing(settings):
            entries[run_id] = replace(entries[run_id], state=KILLED, result="began and never ended: it was killed")
    return list(entries.values())


def describe_release(published: Release, before: Release | None) -> str:
    """A new release, and how much of its content differs from the one before."""
    if before is None:
        return f"release {published.release_id}, the first"
    names = {*published.tables, *before.tables}
    changed = sorted(name for name in names if published.tables.get(name) != before.tables.get(name))
    if not changed:
        return f"release {published.release_id}, same content as {before.release_id}"
    return f"release {published.release_id}, {len(changed)} of {len(names)} tables changed"


def _file(settings: Settings) -> Path:
    return settings.home / "ledger.jsonl"


def _append(settings: Settings, line: Mapping[str, Any]) -> None:
    file = _file(settings)
    is_new = not file.exists()
    with open(file, "ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # a power cut left half a line: it stays, and is not read
                stream.write(b"\n")
        stream.write(json.dumps(line, default=_as_text).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync(file.parent)


def _as_text(moment: date) -> str:
    return moment.isoformat()


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    lines = []
    for text in file.read_bytes().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def _entry(line: Mapping[str, Any]) -> Entry:
    days = {name: date.fromisoformat(line[name]) if line[name] else None for name in ("first", "last")}
    return Entry(**{**line, **days, "began": _moment(line["began"])})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_writing(settings: Settings) -> bool:
    """Whether some process holds the writer's lock."""
    try:
        with writer_lock(settings).acquire(blocking=False):
            return False
    except Timeout:
        return True
