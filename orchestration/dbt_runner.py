"""dbt inside this process: parse once, keep the parsed state warm, run, and say plainly what failed."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from orchestration.raw_zone import sync_folder
from orchestration.settings import DBT_PROJECT_DIR, Settings

Status = Literal["pass", "warn", "fail", "error", "skipped"]

#: Parsed projects that are kept: those of the last edits and branches.
_KEPT = 8
_DATA_TESTS = "data_tests.json"
_FOR_BUILDS = "builds.msgpack"
_FOR_DBT_TO_PARSE = "partial_parse.msgpack"
_OUT_OF_MEMORY = "Out of Memory Error"
#: Settings of the connection, which is opened, not parsed.
_OF_THE_CONNECTION = {"FIDELIS_WAREHOUSE_DIR", "FIDELIS_THREADS", "FIDELIS_MEMORY", "FIDELIS_DBT_THREADS"}
_WRITTEN_BY_TOOLS = {"target", "logs", "__pycache__", ".user.yml"}
_ENVIRONMENT = re.compile(rb"env_var\(\s*['\"](\w+)")


class DbtError(RuntimeError):
    """dbt could not start or parse; the message is dbt's own."""


@dataclass(frozen=True)
class NodeResult:
    """What dbt did with one node; ``failures`` counts the rows that break a test, ``sql`` is as compiled.

    ``of_replaced_rows``: a test that was spared the rows that the build left as they were when it passed. ``second_try``: another
    model built at the same time left it too little memory, and it was tried again alone.
    """

    unique_id: str
    status: Status
    seconds: float
    message: str
    failures: int
    sql: str = ""
    of_replaced_rows: bool = False
    second_try: bool = False


def arguments(settings: Settings) -> list[str]:
    """dbt's options for this project and these settings, the same for every command."""
    return [
        "--project-dir", str(DBT_PROJECT_DIR),
        "--profiles-dir", str(DBT_PROJECT_DIR),
        "--target-path", str(settings.dbt_target_dir),
        "--log-path", str(settings.dbt_target_dir / "logs"),
    ]  # fmt: skip


@contextmanager
def _without_debug_events() -> Iterator[None]:
    """dbt builds two protobuf messages for each statement and says nothing of them below the level of its logs: spare one.

    Other callers of dbt in this process hear all again afterwards.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager
    from dbt_common.events.event_manager_client import ctx_set_event_manager

    class WithoutDebug(EventManager):
        def fire_event(self, e: Any, level: EventLevel | None = None, *rest: Any, **named: Any) -> None:
            if (level or e.level_tag()) != EventLevel.DEBUG:
                super().fire_event(e, level, *rest, **named)

    ctx_set_event_manager(WithoutDebug())
    try:
        yield
    finally:
        ctx_set_event_manager(EventManager())


def _invoke(arguments: Sequence[str], manifest: Any = None) -> Any:
    from dbt.cli.main import dbtRunner

    with _without_debug_events():
        result = dbtRunner(manifest=manifest).invoke(list(arguments))
    if result.exception is not None:
        raise DbtError(str(result.exception)) from result.exception
    return result


def parsed(settings: Settings) -> Path:
    """The folder of what dbt parsed of the project as it is now: ``manifest.json``, ``semantic_manifest.json`` and our own.

    It is made once for all homes and processes, named after all that the outcome depends on, and never changed.
    """
    settings.export()
    settings.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.cache / "parse.lock"):
        while not (folder := settings.cache / f"dbt-{_content(os.environ)}").exists():
            known = sorted(settings.cache.glob("dbt-*"), key=lambda path: path.stat().st_mtime)
            aside = _parse(settings, settings.cache / "part", *known[-1:])
            for oldest in known[: 1 - _KEPT]:
                shutil.rmtree(oldest)
            # a file that was edited meanwhile may be in it or not
            if folder.name == f"dbt-{_content(os.environ)}":
                aside.replace(folder)
        folder.touch()
    return folder


def _content(environment: Mapping[str, str]) -> str:
    """A digest of all that dbt's parsed state depends on: files and place of the project, versions, environment."""
    digest = sha256(str(DBT_PROJECT_DIR).encode())
    for package in ("dbt-core", "dbt-duckdb", "dbt-adapters", "dbt-common", "Jinja2"):
        digest.update(f"{package} {version(package)}\n".encode())
    used = {name for name in environment if name.startswith("DBT_")}
    for path in sorted(DBT_PROJECT_DIR.rglob("*")):
        name = path.relative_to(DBT_PROJECT_DIR)
        if path.is_file() and _WRITTEN_BY_TOOLS.isdisjoint(name.parts):
            content = path.read_bytes()
            digest.update(f"{name} {len(content)}\n".encode() + content)
            used.update(found.decode() for found in _ENVIRONMENT.findall(content))
    for variable in sorted(used - _OF_THE_CONNECTION):
        digest.update(f"{variable}={environment.get(variable)}\n".encode())
    return digest.hexdigest()[:16]


def _parse(settings: Settings, aside: Path, *before: Path) -> Path:
    """Parse the project into a folder and compile its data tests; no database is opened, another process may be writing there.

    ``before`` is what was parsed last: dbt takes from it what has not changed.
    """
    from dbt.parser.manifest import extended_mashumaro_encoder

    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for earlier in before:
        shutil.copy(earlier / _FOR_DBT_TO_PARSE, aside)
    options = [*arguments(settings), "--target-path", str(aside)]
    quiet = ["--log-level", "none", "--log-level-file", "none"]
    manifest = _invoke([*quiet, "parse", *options]).result
    tests = ["--no-introspect", "--no-populate-cache", "--no-write-json", "--select", "test_type:data"]
    compiled = _invoke([*quiet, "compile", *options, *tests], manifest).result.results
    (aside / _DATA_TESTS).write_text(json.dumps({r.node.unique_id: r.node.compiled_code for r in compiled}))
    # a build runs no test, parses nothing and asks for no `graph`: without them the manifest is loaded in half the time
    manifest.nodes = {k: n for k, n in manifest.nodes.items() if n.resource_type != "test"}
    manifest.unit_tests, manifest.files, manifest.flat_graph = {}, {}, {}
    (aside / _FOR_BUILDS).write_bytes(manifest.to_msgpack(extended_mashumaro_encoder))
    sync_folder(aside)
    return aside


def data_tests(settings: Settings) -> dict[str, str]:
    """The compiled SQL of each data test: the rows that break it."""
    compiled: dict[str, str] = json.loads((parsed(settings) / _DATA_TESTS).read_text())
    return compiled


@lru_cache(maxsize=1)
def _loaded_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """The parsed manifest, read once per process and version."""
    return _loaded_manifest(parsed(settings) / "manifest.json")


def _manifest_for_builds(settings: Settings) -> Any:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    packed = (parsed(settings) / _FOR_BUILDS).read_bytes()
    manifest = Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
    manifest.build_parent_and_child_maps()
    return manifest


def build(settings: Settings, selection: Sequence[str], *, whole: bool) -> list[NodeResult]:
    """``dbt build`` of models, with the seeds and from nothing if ``whole``; data tests are run by dbt_tests, unit tests in CI.

    Returns every node's result. A model that fails is a result, not an exception; raises DbtError where dbt
    itself cannot run. Models whose memory did not suffice, and what depends on them, are tried once more one at a time. Every
    database is closed on return.
    """
    results = _build(settings, selection, whole)
    if settings.dbt_threads > 1 and any(_OUT_OF_MEMORY in r.message for r in results if r.status == "error"):
        undone = [r.unique_id.rsplit(".", 1)[-1] for r in results if r.status in ("error", "skipped")]
        again = {r.unique_id: r for r in _build(settings, ["--select", *undone, "--threads", "1"], whole)}
        results = [
            replace(again[r.unique_id], second_try=_OUT_OF_MEMORY in r.message) if r.unique_id in again else r
            for r in results
        ]
    return results


def _build(settings: Settings, selection: Sequence[str], whole: bool) -> list[NodeResult]:
    settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
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
                # a changed seed is changed code, and that build is whole
                *(["--full-refresh"] if whole else ["--exclude-resource-type", "seed"]),
                *selection,
            ],
            _manifest_for_builds(settings),
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
