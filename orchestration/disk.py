"""A full disk, told from other errors, whoever of DuckDB, SQLite, dbt or Python ran into it."""

import re
import resource
import shutil
from pathlib import Path

#: What the system, DuckDB and SQLite say; the last of them of a file-size limit (``ulimit -f``).
_FULL = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|file too large", re.IGNORECASE
)
#: SQLite says no more than this where its shared memory or journal cannot grow.
_UNCLEAR = "disk I/O error"
_NO_ROOM_BYTES = 2**20

SENTENCE = (
    "the disk of FIDELIS_HOME is full, or a limit on the size of files was reached: make room (`du -sh` tells where), then "
    "run again. Nothing that was loaded or published is lost; see docs/runbooks/run-killed-or-disk-full.md."
)


def is_full(text: str) -> bool:
    """Whether the text of an error says that there is no room."""
    return _FULL.search(text) is not None


def filled_it(error: BaseException | None, home: Path | None = None) -> bool:
    """Whether an exception, or what led to it, says that there is no room; an unclear one where ``home`` has none."""
    while error is not None:
        if is_full(str(error)) or (home is not None and _UNCLEAR in str(error) and _has_no_room(home)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_no_room(home: Path) -> bool:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return limit != resource.RLIM_INFINITY or shutil.disk_usage(home).free < _NO_ROOM_BYTES
