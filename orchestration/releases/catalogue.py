"""Which releases there are, which one is current, and how the current one is switched.

``releases/current`` is a symbolic link to a release's folder, replaced by rename: a BI process caches an
open database by its real path, so its next connection through the link sees the new release.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from orchestration.raw_zone import sync
from orchestration.settings import Settings
from orchestration.warehouse import DATAMART

CURRENT = "current"
MANIFEST = "manifest.json"
DELIVERIES = "deliveries.json"
RECORDS = "records"
BUILDING = ".tmp"


@dataclass(frozen=True)
class Release:
    """One published release; ``tables`` gives rows, sums and checksum of each table.

    ``inputs`` is the state of the raw zone that it was built from, ``basis`` all else that its figures depend on.
    """

    release_id: str
    folder: Path
    as_of_date: date
    published_at: datetime
    code_version: str
    tables: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, int]
    inputs: str
    basis: str

    @property
    def deliveries(self) -> dict[str, dict[str, str]]:
        """By table and day, the deliveries that it was built from, as ``raw_zone.fingerprints`` tells them apart."""
        file = self.folder / DELIVERIES
        found: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
        return found

    @property
    def datamart(self) -> Path:
        """The DuckDB file that BI tools open."""
        return self.folder / DATAMART


def read_release(folder: Path) -> Release:
    """The release in a folder, from its manifest."""
    manifest = json.loads((folder / MANIFEST).read_text())
    return Release(
        release_id=manifest["release_id"],
        folder=folder,
        as_of_date=date.fromisoformat(manifest["as_of_date"]),
        published_at=datetime.fromisoformat(manifest["published_at"]),
        code_version=manifest["code_version"],
        tables=manifest["tables"],
        checks=manifest["checks"],
        inputs=manifest["inputs"],
        basis=manifest.get("basis", ""),
    )


def list_releases(settings: Settings) -> list[Release]:
    """All kept releases, the newest first."""
    folders = [
        p.parent
        for p in settings.releases_dir.glob(f"*/{MANIFEST}")
        if not p.parent.is_symlink() and p.parent.suffix != BUILDING
    ]
    return sorted(map(read_release, folders), key=lambda r: r.published_at, reverse=True)


def current(settings: Settings) -> Release | None:
    """The release that readers see; None before the first."""
    link = settings.releases_dir / CURRENT
    return read_release(link.resolve()) if link.exists() else None


def next_id(settings: Settings, as_of_date: date) -> str:
    """The name of the release to come."""
    used = [re.fullmatch(r"\d{8}-(\d+)", r.release_id) for r in list_releases(settings)]
    number = max((int(m.group(1)) for m in used if m), default=0) + 1
    return f"{as_of_date:%Y%m%d}-{number:04d}"


def switch(settings: Settings, release_id: str) -> None:
    """Make a release the current one, by one rename: readers see the old one or the new one."""
    link = settings.releases_dir / CURRENT
    aside = settings.releases_dir / f"{CURRENT}{BUILDING}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(release_id, target_is_directory=True)
    aside.rename(link)
    sync(settings.releases_dir)


def roll_back(settings: Settings, release_id: str) -> Release:
    """Make a kept release current again. Raises ValueError for one that is not kept."""
    kept = {r.release_id: r for r in list_releases(settings)}
    if release_id not in kept:
        raise ValueError(f"there is no release {release_id}; kept are: {', '.join(kept) or 'none'}")
    switch(settings, release_id)
    return kept[release_id]


def records(settings: Settings) -> list[Release]:
    """What is known of releases whose mart was removed: the last one of each month of ``as_of_date``, the newest first."""
    found = (read_release(p.parent) for p in (settings.releases_dir / RECORDS).glob(f"*/{MANIFEST}"))
    return sorted(found, key=lambda r: r.published_at, reverse=True)


def _keep_record(settings: Settings, release: Release) -> None:
    """Keep what a release was built from, and its checksums; of a month the last release's only."""
    for older in records(settings):
        if (older.as_of_date.year, older.as_of_date.month) == (release.as_of_date.year, release.as_of_date.month):
            if older.published_at >= release.published_at:
                return
            shutil.rmtree(older.folder)
    aside = settings.releases_dir / f"{RECORDS}-{release.release_id}{BUILDING}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in (MANIFEST, DELIVERIES):
        if (release.folder / name).exists():
            shutil.copy(release.folder / name, aside)
    (settings.releases_dir / RECORDS).mkdir(exist_ok=True)
    aside.rename(settings.releases_dir / RECORDS / release.release_id)


def prune(settings: Settings) -> list[str]:
    """Remove releases beyond the number kept (never the current one); returns their ids. What they were built from stays (``records``)."""
    shown = current(settings)
    removed = []
    for release in reversed(list_releases(settings)[settings.releases_kept :]):
        if shown is not None and release.release_id == shown.release_id:
            continue
        _keep_record(settings, release)
        shutil.rmtree(release.folder)
        removed.append(release.release_id)
    return removed


def sweep(settings: Settings) -> None:
    """Remove releases that were never finished: their run was killed, or the disk was full."""
    for leftover in settings.releases_dir.glob(f"*{BUILDING}"):
        if leftover.is_symlink():
            leftover.unlink()
        else:
            shutil.rmtree(leftover)
