"""dbt inside this process: parse once, keep the parsed state warm, run, and say plainly what failed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from orchestration.settings import DBT_PROJECT_DIR, Settings

Status = Literal["pass", "warn", "fail", "error", "skipped"]


class DbtError(RuntimeError):
    """dbt could not start or parse; the message is dbt's own."""


@dataclass(frozen=True)
class NodeResult:
    """What dbt did with one node; ``failures`` counts the rows that break a test, ``sql`` is as compiled."""

    unique_id: str
    status: Status
    seconds: float
    message: str
    failures: int
    sql: str = ""


def _arguments(settings: Settings) -> list[str]:
    return [
        "--project-dir", str(DBT_PROJECT_DIR),
        "--profiles-dir", str(DBT_PROJECT_DIR),
        "--target-path", str(settings.dbt_target_dir),
        "--log-path", str(settings.dbt_target_dir / "logs"),
    ]  # fmt: skip


def _invoke(arguments: Sequence[str]) -> Any:
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(list(arguments))
    if result.exception is not None:
        raise DbtError(str(result.exception)) from result.exception
    return result


def manifest_path(settings: Settings) -> Path:
    """dbt's manifest of the project as it is now; parsed anew only when a file of the project changed."""
    manifest = settings.dbt_target_dir / "manifest.json"
    settings.dbt_target_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.dbt_target_dir / "parse.lock"):
        sources = [
            p for p in DBT_PROJECT_DIR.rglob("*") if p.is_file() and "target" not in p.parts and "logs" not in p.parts
        ]
        newest = max(p.stat().st_mtime for p in sources)
        if not manifest.exists() or manifest.stat().st_mtime < newest:
            settings.export()
            settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
            _invoke(["--log-level", "none", "parse", *_arguments(settings)])
    return manifest


@lru_cache(maxsize=1)
def _loaded_manifest(path: Path, modified_ns: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """The parsed manifest, read once per process and version."""
    path = manifest_path(settings)
    return _loaded_manifest(path, path.stat().st_mtime_ns)


def build(settings: Settings, selection: Sequence[str]) -> list[NodeResult]:
    """``dbt build`` of seeds, models and tests (no unit tests: those run in CI).

    Returns every node's result. A failing test is a result, not an exception; raises DbtError where dbt
    itself cannot run. Every database is closed on return.
    """
    try:
        result = _invoke(
            [
                "--log-level",
                "none",
                "--log-level-file",
                "warn",
                "--no-write-json",
                "--no-use-colors",
                "build",
                *_arguments(settings),
                "--exclude-resource-type",
                "unit_test",
                *selection,
            ]
        )
    finally:
        _close()
    return [
        NodeResult(
            unique_id=r.node.unique_id,
            status=_status(str(r.status)),
            seconds=float(r.execution_time or 0),
            message=str(r.message or ""),
            failures=int(r.failures or 0),
            sql=str(getattr(r.node, "compiled_code", None) or ""),
        )
        for r in result.result.results
    ]


def _status(status: str) -> Status:
    known: dict[str, Status] = {"success": "pass", "pass": "pass", "warn": "warn", "fail": "fail", "error": "error"}
    return known.get(status, "skipped")


def _close() -> None:
    """Give the lock of the database files back: dbt-duckdb keeps its environment for the process's life."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
