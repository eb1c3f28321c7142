"""Publish: copy the closed mart aside, prove the copy, switch it in.

The build file holds nothing but mart tables, so a plain copy of the closed file is a release, comments
included, at the speed of the disk. Nothing readers can see changes before the last rename.
"""

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from orchestration import charts
from orchestration.contracts import Contract, default_contracts
from orchestration.raw_zone import fingerprints, sync, write_durably
from orchestration.releases.catalogue import (
    BUILDING,
    DELIVERIES,
    MANIFEST,
    Release,
    next_id,
    prune,
    read_release,
    sweep,
    switch,
)
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_DIR, Settings
from orchestration.warehouse import DATAMART, RESTRICTED, connect_file, figures

#: Bytes that are compared at a time.
_BLOCK = 2**20
_SCHEMA = {DATAMART: "mart", RESTRICTED: "restricted"}


class ReleaseError(RuntimeError):
    """The release was not published; the message says what its audit found. The old release is untouched."""


@cache
def code_version() -> str:
    """The package's version and a fingerprint of the code that made the release."""
    digest = sha256()
    for folder in (PROJECT_DIR / "orchestration", DBT_PROJECT_DIR):
        for path in sorted(
            p for p in folder.rglob("*") if p.suffix in (".py", ".sql", ".yml", ".csv") and "target" not in p.parts
        ):
            digest.update(path.relative_to(PROJECT_DIR).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{version('fidelis')}+{digest.hexdigest()[:12]}"


def basis(settings: Settings, contracts: Mapping[str, Contract]) -> str:
    """A fingerprint of all that figures depend on beside deliveries and decisions: code, contracts, time zone, currency."""
    tables = {t: [c.mode, c.prices_include_tax, c.version, c.content] for t, c in sorted(contracts.items())}
    return sha256(json.dumps([code_version(), settings.timezone, settings.currency, tables]).encode()).hexdigest()[:16]


def publish(
    settings: Settings,
    as_of_date: date,
    checks: Mapping[str, int],
    inputs: str,
    contracts: Mapping[str, Contract] = MappingProxyType({}),
) -> Release:
    """Publish the marts as built. Raises ReleaseError where the copy does not hold what was built.

    With ``contracts`` the release also says which deliveries it was built from.
    ``personal.duckdb``, which names persons, goes into a folder of its own that only the owner may enter.
    """
    settings.releases_dir.mkdir(parents=True, exist_ok=True)
    sweep(settings)
    try:
        folder = _build_aside(settings, as_of_date, checks, inputs, contracts)
    except BaseException:
        sweep(settings)  # half a release is of no use, and the disk may be full
        raise
    switch(settings, folder.name)
    prune(settings)
    return read_release(folder)


def _build_aside(
    settings: Settings, as_of_date: date, checks: Mapping[str, int], inputs: str, contracts: Mapping[str, Contract]
) -> Path:
    """Make the folder of a release, complete, and give it its name."""
    release_id = next_id(settings, as_of_date)
    aside = settings.releases_dir / f"{release_id}{BUILDING}"
    aside.mkdir()
    tables = copy_audited(settings, DATAMART, aside)
    write_durably(aside / charts.PAGE, charts.page(charts.draw(settings, aside / DATAMART)))
    if (settings.warehouse_dir / RESTRICTED).exists():
        private = aside / "restricted"
        private.mkdir(mode=0o700)
        copy_audited(settings, RESTRICTED, private)
        (private / RESTRICTED).chmod(0o400)
        sync(private)
    manifest = {
        "release_id": release_id,
        "as_of_date": as_of_date.isoformat(),
        "published_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "code_version": code_version(),
        "business_timezone": settings.timezone,
        "reporting_currency": settings.currency,
        "inputs": inputs,
        "basis": basis(settings, contracts),
        "checks": dict(checks),
        "tables": tables,
    }
    write_durably(aside / DELIVERIES, json.dumps(fingerprints(settings, contracts), separators=(",", ":")))
    write_durably(aside / MANIFEST, json.dumps(manifest, indent=1))
    folder = settings.releases_dir / release_id
    aside.rename(folder)
    sync(settings.releases_dir)
    return folder


def copy_audited(settings: Settings, name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Copy one closed build file, beside that take its rows, sums and checksums, and prove the copy byte by byte."""
    source, target = settings.warehouse_dir / name, folder / name
    if not source.exists():
        raise ReleaseError(f"there is no {name} to publish: the mart has not been built yet")
    if source.with_name(f"{name}.wal").exists():
        raise ReleaseError(f"{name} was not closed properly (its .wal is still there); run again")
    temporary = target.with_name(f"{name}{BUILDING}")
    with ThreadPoolExecutor(1) as beside:
        copying = beside.submit(copy_compared, source, temporary)
        with connect_file(settings, source) as con:
            taken = _figures(con, name)
        place = copying.result()
    if place is not None:
        raise ReleaseError(f"the copy of {name} differs from what was built, from byte {place} on")
    temporary.chmod(0o444)
    temporary.rename(target)
    sync(folder)
    return taken


def copy_compared(source: Path, target: Path) -> int | None:
    """Copy a file durably; returns where the copy differs from it."""
    shutil.copyfile(source, target)
    sync(target)
    return _first_difference(source, target)


def _first_difference(left: Path, right: Path) -> int | None:
    """Where two files begin to differ, to the block; None where they are the same."""
    place = 0
    with left.open("rb", buffering=0) as one, right.open("rb", buffering=0) as other:
        while (block := one.read(_BLOCK)) == other.read(_BLOCK):
            if not block:
                return None
            place += len(block)
    return place


def _figures(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, dict[str, Any]]:
    """Rows, sums and checksum by table; refuses what does not belong into this file."""
    found = con.execute(
        "select schema_name, table_name from duckdb_tables() where not internal order by all"
    ).fetchall()
    views = con.execute("select schema_name, view_name from duckdb_views() where not internal order by all").fetchall()
    strangers = [f"{schema}.{table}" for schema, table in (*found, *views) if schema != _SCHEMA[name]]
    if strangers:
        raise ReleaseError(f"{name} holds tables outside schema {_SCHEMA[name]}: {', '.join(strangers)}")
    if not found:
        raise ReleaseError(f"{name} holds no table: the mart has not been built yet")
    if name == DATAMART:
        _refuse_identifiers(con)
    return {table: figures(con, f'"{schema}"."{table}"') for schema, table in found}


def _refuse_identifiers(con: duckdb.DuckDBPyConnection) -> None:
    """The default release has no column that the contracts class as a direct identifier."""
    identifiers = {
        c.name
        for contract in default_contracts().values()
        for c in contract.columns
        if c.classification == "direct_identifier"
    }
    columns = con.execute("select table_name, column_name from duckdb_columns() where not internal").fetchall()
    named = [f"{table}.{column}" for table, column in columns if column.lower() in identifiers]
    if named:
        raise ReleaseError(f"direct identifiers may not enter the default release: {', '.join(named)}")
