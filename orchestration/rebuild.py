"""The mart as it was known then: a published release built anew, from the raw zone as it is today.

A release says which deliveries it was built from. The same deliveries, and the decisions about identities that had been taken by then, give
the same mart; what was delivered since is left out. Nothing of the home is changed: the work is done in a home of its own.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestration import dbt_runner, identity, raw_zone, warehouse
from orchestration.contracts import Contract
from orchestration.identity_files import POINTER
from orchestration.releases import Release, basis, list_releases, records
from orchestration.settings import Settings

#: Tables that also say what was published before them, which no delivery tells.
OF_THE_RUNS = ("kpi_restatements",)


class RebuildError(RuntimeError):
    """The release cannot be built as it was; the message says why."""


@dataclass(frozen=True)
class Rebuilt:
    """Where the mart is, and how its tables compare with the release's: those that differ; whether other rules built it."""

    datamart: Path
    tables: int
    differing: tuple[str, ...]
    rules_changed: bool


def find(settings: Settings, name: str) -> Release:
    """The release of that id, or the last one of a month (2024-03), kept or remembered. Raises RebuildError where there is none."""
    known = sorted((*list_releases(settings), *records(settings)), key=lambda r: r.published_at, reverse=True)
    for release in known:
        if name in (release.release_id, f"{release.as_of_date:%Y-%m}"):
            return release
    raise RebuildError(f"there is no release {name}; known are: {', '.join(r.release_id for r in known) or 'none'}")


def rebuild(settings: Settings, contracts: Mapping[str, Contract], release: Release, target: Path) -> Rebuilt:
    """Build ``release`` anew into ``target/datamart.duckdb`` and compare it with what was published.

    Raises RebuildError where a delivery of then is no longer in the raw zone, or the build fails.
    """
    known = release.deliveries
    if not known:
        raise RebuildError(
            f"release {release.release_id} does not say which deliveries it was built from: it is older than that"
        )
    now = raw_zone.fingerprints(settings, contracts)
    gone = [f"{t} of {d}" for t, days in known.items() for d, mark in days.items() if now.get(t, {}).get(d) != mark]
    if gone:
        more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
        raise RebuildError(
            f"release {release.release_id} cannot be built as it was: {', '.join(gone[:5])}{more} "
            "were replaced or withdrawn since, and the raw zone keeps the latest delivery of a day only"
        )
    target.mkdir(parents=True, exist_ok=True)
    work = target / "work"
    shutil.rmtree(work, ignore_errors=True)
    then = settings.model_copy(update={"home": work.resolve(), "landing": settings.landing_dir.resolve()})
    before = dict(os.environ)
    try:
        _make_home(settings, then, known, release)
        # dbt and its Python models find the home in the environment
        os.environ["FIDELIS_HOME"] = str(then.home)
        then.export()
        _build(then, contracts, release)
        datamart = target / warehouse.DATAMART
        (then.warehouse_dir / warehouse.DATAMART).replace(datamart)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(work, ignore_errors=True)
    compared = {t: f["checksum"] for t, f in release.tables.items() if t not in OF_THE_RUNS}
    with warehouse.connect_file(settings, datamart) as con:
        built = {t for (t,) in con.execute("select table_name from duckdb_tables()").fetchall()}
        differing = tuple(
            t for t, mark in compared.items() if t not in built or warehouse.checksum(con, f'mart."{t}"') != mark
        )
    return Rebuilt(datamart, len(compared), differing, release.basis != basis(settings, contracts))


def _make_home(settings: Settings, then: Settings, known: Mapping[str, Mapping[str, str]], release: Release) -> None:
    """A home that holds what was known: the index of those deliveries over today's files, and the decisions of before the release."""
    for table, days in known.items():
        folder = then.raw_dir / table
        folder.mkdir(parents=True)
        index = json.loads((settings.raw_dir / table / raw_zone.INDEX).read_text())
        (folder / raw_zone.INDEX).write_text(json.dumps({day: index[day] for day in days}))
        for path in (settings.raw_dir / table).glob("delivery_date=*"):
            (folder / path.name).symlink_to(path.resolve(), target_is_directory=True)
    then.identity_dir.mkdir(parents=True, mode=0o700)
    for file in settings.identity_dir.iterdir() if settings.identity_dir.is_dir() else ():
        if file.is_file() and file.name != POINTER:
            shutil.copy(file, then.identity_dir)
    decisions = identity.decisions_file(then)
    if decisions.exists():
        taken = [line for line in decisions.read_text().splitlines() if _was_taken(line, release)]
        decisions.write_text("".join(f"{line}\n" for line in taken))
    if settings.activation_dir.exists():
        then.activation_dir.symlink_to(settings.activation_dir.resolve(), target_is_directory=True)


def _was_taken(line: str, release: Release) -> bool:
    from datetime import datetime

    return datetime.fromisoformat(json.loads(line)["decided_at"]) <= release.published_at


def _build(then: Settings, contracts: Mapping[str, Contract], release: Release) -> None:
    identity.build(then, contracts, release.as_of_date)
    warehouse.prepare(then, contracts, whole=True)
    failed = [r for r in dbt_runner.build(then, [], whole=True) if r.status in ("fail", "error")]
    if failed:
        raise RebuildError(f"the mart could not be built: {' '.join(failed[0].message.split())[:300]}")
