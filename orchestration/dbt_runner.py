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


def arguments(settings: Settings) -> list[str]:
    """dbt's options for this project and these settings, the same for every command."""
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
    settings.dbt_target_dir.mkdir(parents=True, exist_ok=True)
    compiled = _data_tests_file(settings)
    with FileLock(settings.dbt_target_dir / "parse.lock"):
        sources = [
            p for p in DBT_PROJECT_DIR.rglob("*") if p.is_file() and "target" not in p.parts and "logs" not in p.parts
        ]
        newest = max(p.stat().st_mtime for p in sources)
        if not compiled.exists() or compiled.stat().st_mtime < newest:
            settings.export()
            settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
            _compile(settings, compiled)
    return settings.dbt_target_dir / "manifest.json"


def _data_tests_file(settings: Settings) -> Path:
    return settings.dbt_target_dir / "data_tests.json"


def _compile(settings: Settings, target: Path) -> None:
    """Parse the project and compile its data tests; no database is opened, another process may be writing there."""
    options = ["--no-introspect", "--no-populate-cache", "--select", "test_type:data"]
    quiet = ["--log-level", "none", "--log-level-file", "none"]
    result = _invoke([*quiet, "compile", *arguments(settings), *options])
    compiled = {r.node.unique_id: r.node.compiled_code for r in result.result.results}
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(compiled))
    aside.replace(target)


def data_tests(settings: Settings) -> dict[str, str]:
    """The compiled SQL of each data test: the rows that break it."""
    manifest_path(settings)
    compiled: dict[str, str] = json.loads(_data_tests_file(settings).read_text())
    return compiled


@lru_cache(maxsize=1)
def _loaded_manifest(path: Path, modified_ns: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """The parsed manifest, read once per process and version."""
    path = manifest_path(settings)
    return _loaded_manifest(path, path.stat().st_mtime_ns)


def build(settings: Settings, selection: Sequence[str], *, whole: bool) -> list[NodeResult]:
    """``dbt build`` of models, with the seeds and from nothing if ``whole``; data tests are run by dbt_tests, unit tests in CI.

    Returns every node's result. A model that fails is a result, not an exception; raises DbtError where dbt
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
                *arguments(settings),
                "--exclude-resource-type",
                "unit_test",
                "--exclude-resource-type",
                "test",
                # a changed seed is changed code, and that build is whole
                *(["--full-refresh"] if whole else ["--exclude-resource-type", "seed"]),
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
