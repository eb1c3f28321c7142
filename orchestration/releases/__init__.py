"""Releases: the published mart, built aside, audited, switched in by one rename, kept and rolled back to."""

from orchestration.releases.catalogue import Release, current, list_releases, prune, roll_back, sweep
from orchestration.releases.publish import ReleaseError, code_version, publish

__all__ = [
    "Release",
    "ReleaseError",
    "code_version",
    "current",
    "list_releases",
    "prune",
    "publish",
    "roll_back",
    "sweep",
]
