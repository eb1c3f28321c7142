"""Releases: the published mart, built aside, audited, switched in by one rename, kept and rolled back to."""

from orchestration.releases.catalogue import (
    CURRENT,
    Release,
    current,
    list_releases,
    next_id,
    prune,
    records,
    roll_back,
    sweep,
)
from orchestration.releases.publish import ReleaseError, basis, code_version, publish

__all__ = [
    "CURRENT",
    "Release",
    "ReleaseError",
    "basis",
    "code_version",
    "current",
    "list_releases",
    "next_id",
    "prune",
    "publish",
    "records",
    "roll_back",
    "sweep",
]
