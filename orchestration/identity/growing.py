"""Aggregates of raw tables by key that are kept between builds: a night adds its new delivery days and reads no older ones again.

Each is two files of the generation: a base, which is linked from generation to generation, and what came since, whose keys replace
those of the base. When that is an eighth of the base, both become a new base. Where a day that is in them has other files now, or a
new day is before one of them, the aggregates of the table are made from nothing.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from orchestration import identity_files, raw_zone
from orchestration.rules import quote_text
from orchestration.settings import Settings

#: Says which delivery days the aggregates of a generation hold, and on what they rest.
INDEX = "growing.json"
_RECENT_AT_MOST = 1 / 8
#: How two rows of a key become one: the value of the later day, where it has one.
LAST = "max_by({0}, is_new)"
FIRST, SUM, ANY = "min({0})", "cast(sum({0}) as bigint)", "bool_or({0})"


class Growing:
    """The aggregates of a build, as tables of its working database.

    ``version``: all that they depend on beside deliveries. ``from_nothing``: what is kept is not looked at.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, settings: Settings, version: str = "", *, from_nothing: bool
    ) -> None:
        self._con, self._settings, self._version = con, settings, version
        self._folder = None if from_nothing else identity_files.folder(settings)
        file = self._folder / INDEX if self._folder else None
        said = json.loads(file.read_text()) if file and file.exists() else {}
        self._days: dict[str, dict[str, str]] = said["days"] if said.get("version") == version else {}
        self._held: dict[str, dict[str, str]] = {}
        self._bases: dict[str, Path | None] = {}

    def new_days(self, table: str) -> set[date] | None:
        """Delivery days of a table that its aggregates have not yet; None: all, they are made from nothing."""
        now, before = self._delivered(table), self._days.get(table)
        if before is None or before.items() - now.items():
            return None
        new = now.keys() - before.keys()
        if new and before and min(new) < max(before):
            return None
        return {date.fromisoformat(day) for day in new}

    def _delivered(self, table: str) -> dict[str, str]:
        return {str(p.day): " ".join(p.data) for p in raw_zone.partitions(self._settings, table).values() if p.data}

    def add(self, name: str, table: str, keys: Sequence[str], merged: Mapping[str, str], query: str) -> None:
        """View ``name``: ``query``, the aggregate of the new days of a raw table, one row per ``keys``, and what is kept of the others.

        ``merged``: its other columns, and how two rows of a key become one.
        """
        same = " and ".join(f"a.{key} is not distinct from b.{key}" for key in keys)
        both = f"select * from {{0}} as a anti join {{1}} as b on {same} union all by name select * from {{1}}"
        self._bases[name], self._held[table] = None, self._delivered(table)
        if self._folder is None or self.new_days(table) is None:
            self._con.execute(f"create table {name}_base as {query}")
            self._con.execute(f"create table {name}_recent as select * from {name}_base limit 0")
        else:
            self._bases[name] = self._folder / f"{name}_base.parquet"
            files = {part: quote_text(self._folder / f"{name}_{part}.parquet") for part in ("base", "recent")}
            self._con.execute(f"create view {name}_base as select * from read_parquet({files['base']})")
            self._con.execute(f"create table {name}_before as select * from read_parquet({files['recent']})")
            self._con.execute(f"create table {name}_new as {query}")
            columns = ", ".join([*keys, *(f"{how.format(c)} as {c}" for c, how in merged.items())])
            self._con.execute(
                f"create table {name}_recent as select {columns} from ("
                f"select *, 0 as is_new from ({both.format(f'{name}_base', f'{name}_before')}) as a semi join {name}_new as b on {same} "
                f"union all by name select *, 1 as is_new from {name}_new) group by {', '.join(keys)} "
                f"union all by name select * from {name}_before as a anti join {name}_new as b on {same}"
            )
        self._con.execute(f"create view {name} as {both.format(f'{name}_base', f'{name}_recent')}")

    def save(self, folder: Path) -> None:
        """Put the aggregates into the folder of a generation."""
        for name, base in self._bases.items():
            files = {part: folder / f"{name}_{part}.parquet" for part in ("base", "recent")}
            many, recent = self._con.execute(
                f"select (select count(*) from {name}_base), (select count(*) from {name}_recent)"
            ).fetchall()[0]
            is_small = recent <= many * _RECENT_AT_MOST
            if base and is_small:
                _link(base, files["base"])
            else:
                self._copy(name, files["base"])
            self._copy(f"{name}_recent" if is_small else f"{name}_recent limit 0", files["recent"])
        (folder / INDEX).write_text(json.dumps({"version": self._version, "days": self._held}))

    def _copy(self, rows: str, file: Path) -> None:
        self._con.execute(f"copy (from {rows}) to {quote_text(file)} (format parquet)")


def _link(file: Path, other: Path) -> None:
    """A second name of a file that nobody changes; a copy where the file system has no such names."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copyfile(file, other)
