"""Run a table's suite over the delivery days just loaded, and write Great Expectations' Data Docs."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb

from orchestration import drift, raw_zone
from orchestration.contracts import Contract
from orchestration.quality.custom import NativeCheck
from orchestration.quality.suites import CheckSpec, check_specs, native_checks, profile_rows
from orchestration.raw_zone import Partition, counts
from orchestration.rules import quote_name, quote_text
from orchestration.settings import Settings
from orchestration.warehouse import connect_scratch

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_DAYS = 10


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check over a window; ``figures`` hold counts and days, never values of rows."""

    name: str
    passed: bool
    blocking: bool
    description: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def validate(settings: Settings, contract: Contract, partitions: Sequence[Partition]) -> list[CheckResult]:
    """Validate the profile of ``partitions`` (and, for a user's native checks, their rows)."""
    specs = check_specs(contract)
    stored = _stored_rows(settings, contract, [p.day for p in partitions])
    known = raw_zone.partitions(settings, contract.table) | {p.day: p for p in partitions}
    verdicts = {p.day: drift.judge(contract, p, known) for p in partitions}
    misstored = {p.day: _misstored(p, *stored[p.day]) for p in partitions}
    stale = raw_zone.stale_days(settings, contract)
    rows = profile_rows(contract, partitions, misstored, verdicts, stale)
    numbers: dict[str, Mapping[str, Any]] = {
        "unaccounted": counts(partitions),
        "misstored": {
            "rows_loaded": sum(p.rows_loaded for p in partitions),
            "rows_in_index": sum(index for index, _ in stored.values()),
            "rows_on_disk": sum(disk or 0 for _, disk in stored.values()),
        },
        "uncaptured": {"columns": ", ".join(sorted({name for p in partitions for name in p.uncaptured})) or "none"},
        "stale": {"found": raw_zone.stale_sentence(contract, stale)} if stale else {},
        **{f"usual_{r.name}": _drifts(r.name, verdicts) for r in contract.drift},
    }
    native = native_checks(contract)
    native_names = {c.name for c in native}
    derived = [s for s in specs if s.name not in native_names]
    # nothing came and nothing is amiss: there is nothing to validate, and the night is spared the import
    idle = not any(p.rows_read for p in partitions) and not any(row[s.column] for row in rows for s in derived)
    results = {} if idle else _validated(settings, contract, rows, derived)
    outcomes = [_outcome(s, rows, results.get(s.name), numbers.get(s.column, {})) for s in derived]
    loaded = _loaded_rows(settings, contract, partitions, native)
    for check in native:
        if loaded is None:
            outcomes.append(CheckResult(check.name, True, check.blocking, check.description, {"rows": 0}))
            continue
        context = _context(settings.data_docs_dir)
        expectation = check.build()
        expectation.meta = {"check": check.name, "rule": check.description}
        result = _run(context, f"{contract.table} {check.name}", loaded, [expectation])[0]
        figures = {k: float(v) for k, v in result.result.items() if isinstance(v, (int, float))}
        outcomes.append(CheckResult(check.name, bool(result.success), check.blocking, check.description, figures))
    return outcomes


def _validated(
    settings: Settings, contract: Contract, rows: Sequence[Mapping[str, Any]], specs: Sequence[CheckSpec]
) -> dict[str, Any]:
    """Great Expectations' results on the profile, by check."""
    context = _context(settings.data_docs_dir)
    import great_expectations.expectations as gxe
    import pandas as pd

    # the sum of a column of counts costs a quarter of asking each of its values
    expectations = [
        gxe.ExpectColumnMaxToBeBetween(column=s.column, max_value=1, meta={"check": s.name, "rule": s.description})
        if s.is_score
        else gxe.ExpectColumnSumToBeBetween(
            column=s.column, min_value=0, max_value=0, meta={"check": s.name, "rule": s.description}
        )
        for s in specs
    ]
    results = _run(context, contract.table, pd.DataFrame(rows), expectations)
    return {r.expectation_config.meta["check"]: r for r in results}


def write_data_docs(settings: Settings) -> None:
    """Write Great Expectations' Data Docs of the suites that this process validated."""
    if _context.cache_info().currsize:
        _context(settings.data_docs_dir).build_data_docs()


class _WhenUsed(PathFinder):
    """Finds modules that are to be loaded when something of them is asked for.

    They are a third of the import of Great Expectations: what one of its expectations draws and tests with, which no contract makes.
    """

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's own finder; None for every other module."""
        spec = super().find_spec(fullname, path, target) if fullname in ("altair", "scipy.stats") else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@lru_cache(maxsize=1)
def _context(data_docs_dir: Path) -> Any:
    """An ephemeral context of this process whose Data Docs go to FIDELIS_HOME."""
    sys.meta_path.insert(0, _WhenUsed)
    try:
        import great_expectations as gx
    finally:
        sys.meta_path.remove(_WhenUsed)

    shutil.rmtree(data_docs_dir / "validations", ignore_errors=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        "fidelis",
        {
            "class_name": "SiteBuilder",
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(data_docs_dir)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    context.data_sources.add_pandas("deliveries")
    return context


def _run(context: Any, name: str, frame: "pd.DataFrame", expectations: list[Any]) -> list[Any]:
    import great_expectations as gx

    source = context.data_sources.get("deliveries")
    if name in source.get_asset_names():
        source.delete_asset(name)
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("window")
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=name, expectations=expectations))
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=name, data=batch, suite=suite)
    )
    # no values of rows, neither in the figures nor in Data Docs
    counts_only = {"result_format": "BASIC", "partial_unexpected_count": 0}
    return list(definition.run(batch_parameters={"dataframe": frame}, result_format=counts_only).results)


def _outcome(
    spec: CheckSpec, rows: Sequence[Mapping[str, Any]], result: Any, numbers: Mapping[str, Any]
) -> CheckResult:
    """The outcome of a check; ``result`` is None where nothing came and nothing is amiss."""
    failing = [row["day"] for row in rows if row[spec.column] > (1 if spec.is_score else 0)]
    figures: dict[str, Any] = {"days": len(rows), "days_failing": len(failing), **numbers}
    if spec.column == "undelivered":
        figures["reasons"] = "; ".join([row["reason"] for row in rows if row["undelivered"]][:3])
    elif not spec.is_score:
        figures["rows"] = 0 if result is None else int(result.result["observed_value"] or 0)
    if failing:
        figures["first_days_failing"] = ", ".join(failing[:_SHOWN_DAYS])
    return CheckResult(spec.name, result is None or bool(result.success), spec.blocking, spec.description, figures)


def _drifts(rule: str, verdicts: Mapping[date, Sequence[drift.Verdict]]) -> dict[str, Any]:
    """On how many days a drift rule was judged, and the last days on which it found drift."""
    judged = [(day, v) for day, found in verdicts.items() for v in found if v.rule == rule]
    drifted = [f"{day:%a} {day}: {v.sentence}" for day, v in judged if v.is_drift]
    return {"days_judged": len(judged), **({"found": "; ".join(drifted[-_SHOWN_DAYS:])} if drifted else {})}


def _stored_rows(settings: Settings, contract: Contract, days: Sequence[date]) -> dict[date, tuple[int, int | None]]:
    """By day, the rows of the raw zone's index and those of its Parquet files, None where a file cannot be read."""
    known = raw_zone.partitions(settings, contract.table)
    folder = settings.raw_dir / contract.table
    held = {day: known[day] for day in days if day in known}
    by_file = {str(folder / name): day for day, p in held.items() for name in p.data}
    sizes: dict[str, int | None] = {}
    with connect_scratch(settings, settings.home) as con:
        try:
            sizes.update(_file_rows(con, list(by_file)))
        except duckdb.Error:
            for file in by_file:
                try:
                    sizes.update(_file_rows(con, [file]))
                except duckdb.Error:
                    sizes[file] = None
    stored = {}
    for day in days:
        files = [sizes[str(folder / name)] for name in held[day].data] if day in held else []
        readable = [rows for rows in files if rows is not None]
        stored[day] = (
            held[day].rows_held if day in held else 0,
            sum(readable) if len(readable) == len(files) else None,
        )
    return stored


def _file_rows(con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> dict[str, int]:
    if not files:
        return {}
    listed = ", ".join(map(quote_text, files))
    return dict(con.execute(f"select file_name, num_rows from parquet_file_metadata([{listed}])").fetchall())


def _misstored(partition: Partition, rows_in_index: int, rows_on_disk: int | None) -> int:
    """By how many rows account, index and files differ; a file that cannot be read differs, empty or not."""
    unindexed = abs(partition.rows_loaded - partition.rows_held) if partition.loaded else 0
    return unindexed + (max(rows_in_index, 1) if rows_on_disk is None else abs(rows_in_index - rows_on_disk))


def _loaded_rows(
    settings: Settings, contract: Contract, partitions: Sequence[Partition], checks: Sequence[NativeCheck]
) -> "pd.DataFrame | None":
    """The loaded rows of the window, only the columns that the checks name; None where there is nothing."""
    columns = sorted({name for check in checks for name in check.columns})
    folder = settings.raw_dir / contract.table
    files = [quote_text(folder / file) for p in partitions if p.loaded for file in p.data]
    if not columns or not files:
        return None
    with connect_scratch(settings, settings.home) as con:
        return con.execute(f"select {', '.join(map(quote_name, columns))} from read_parquet([{', '.join(files)}])").df()
