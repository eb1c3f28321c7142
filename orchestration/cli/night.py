"""One night from the command line: which days, the same Dagster job as the schedule, what came of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestration import bad_rows, disk, ledger, raw_zone, releases
from orchestration.contracts import Contract, load_contracts
from orchestration.extraction import pending_days
from orchestration.settings import Settings
from orchestration.sources.deliveries import discover

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Window:
    """The delivery days of a run, both ends included, and its tables (none named: all)."""

    first: date
    last: date
    full_refresh: bool = False
    accept_missing: bool = False
    accept_drift: bool = False
    why: str = ""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a run: published or not, its checks, why it failed, and its result in the ledger."""

    published: bool
    checks: dict[str, int]
    failures: list[str]
    result: str


def yesterday(settings: Settings) -> date:
    """The last business day that is over."""
    return datetime.now(settings.zone).date() - timedelta(days=1)


def choose_window(
    settings: Settings,
    first: date | None,
    last: date | None,
    day: date | None,
    *,
    full_refresh: bool = False,
    accept_missing: bool = False,
    accept_drift: bool = False,
    why: str = "",
) -> Window | None:
    """The days to run; None where every delivery is loaded and published. Raises ValueError for days that cannot be."""
    if day is not None and (first is not None or last is not None):
        raise ValueError("give either --date or --from and --to")
    through = yesterday(settings)
    contracts = load_contracts(settings.contracts)
    if day is not None:
        first = last = day
    elif full_refresh and first is None and last is None:
        delivered = [d for c in contracts.values() for d in discover(settings, c) if settings.first_day <= d <= through]
        if not delivered:
            raise ValueError(f"there is no delivery, neither in {settings.landing_dir} nor where contracts point to")
        first, last = min(delivered), max(delivered)
    elif first is None and last is None:
        pending = pending_days(settings, contracts, through) or unpublished_day(settings, contracts)
        if not pending:
            return None
        first, last, why = pending[0], pending[-1], why or "what was pending"
    first, last = first or settings.first_day, last or through
    if not settings.first_day <= first <= last <= through:
        raise ValueError(
            f"cannot run {first} to {last}: days begin on {settings.first_day} (FIDELIS_FIRST_DAY) and end yesterday, {through}"
        )
    return Window(first, last, full_refresh, accept_missing, accept_drift, why)


def replay_window(settings: Settings, contract: Contract, day: date, why: str) -> Window:
    """A day of one table to load again, with the other tables of which that day is pending: no half day is published.

    Raises ValueError where there is nothing to load.
    """
    window = choose_window(settings, None, None, day)
    assert window is not None
    known = raw_zone.partitions(settings, contract.table).get(day)
    if not discover(settings, contract, [day]).get(day) and (known is None or known.loaded):
        raise ValueError(f"there is no delivery of {contract.table} for {day} to load again: {contract.server.place}")
    others = load_contracts(settings.contracts)
    pending = [t for t, other in others.items() if day in pending_days(settings, {t: other}, day)]
    tables = tuple(dict.fromkeys((contract.table, *pending)))
    return replace(window, why=why or f"replay of {contract.table}", tables=tables)


def unpublished_day(settings: Settings, contracts: Mapping[str, Contract]) -> list[date]:
    """The last loaded day, where the current release was built from another raw zone or by other code."""
    last = max(raw_zone.loaded_days(settings, contracts), default=None)
    release = releases.current(settings)
    if last is None:
        return []
    if release is not None:
        built_from = (release.inputs, release.code_version)
        if built_from == (raw_zone.state(settings, contracts), releases.code_version()):
            return []
    return [last]


def run_night(settings: Settings, window: Window, console: "Console") -> Outcome:
    """Run the job ``nightly`` in this process and this instance, showing progress.

    On a full disk Dagster cannot write its own history either: what it then raises is an outcome like others.
    """
    try:
        return _run(settings, window, console)
    except Exception as error:
        if not disk.filled_it(error, settings.home):
            raise
        return Outcome(False, {}, [disk.SENTENCE], "")


def _run(settings: Settings, window: Window, console: "Console") -> Outcome:
    import logging
    import uuid

    from orchestration.cli.instance import open_instance

    with console.status("starting"):
        instance = open_instance(settings)
        from orchestration.definitions import defs
        from orchestration.defs import history

        job = defs().resolve_job_def("nightly")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    run_id = str(uuid.uuid4())
    every = list(job.asset_layer.executable_asset_keys)
    chosen = [key for key in every if not window.tables or key.path[0] != "raw" or key.path[1] in window.tables]
    progress = _Progress(console, len(job.graph.nodes) - len(every) + len(chosen))
    instance.add_event_listener(run_id, progress)
    tags = {
        history.RANGE_START: window.first.isoformat(),
        history.RANGE_END: window.last.isoformat(),
        history.PID: str(os.getpid()),
        history.WHO: ledger.os_user(),
    }
    if window.why:
        tags[history.WHY] = window.why
    if window.full_refresh:
        tags[history.FULL_REFRESH] = "true"
    if window.accept_missing:
        tags[history.ACCEPT_MISSING] = "true"
    if window.accept_drift:
        tags[history.ACCEPT_DRIFT] = "true"
    with progress:
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            asset_selection=chosen if window.tables else None,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    written = next((e.result for e in ledger.read(settings) if e.run_id == run_id), "")
    failures = [] if result.success else _failures(settings, window, progress)
    return Outcome(progress.is_published, progress.checks, failures, written)


class _Progress:
    """Progress of a run on the terminal, from Dagster's own events."""

    def __init__(self, console: "Console", steps: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._display = Progress(*columns, console=console, transient=True)
        self._task = self._display.add_task("starting", total=steps)
        self.checks = {"passed": 0, "warned": 0, "failed": 0}
        self.failed_checks: list[str] = []
        self.errors: list[str] = []
        self.is_published = False

    def __enter__(self) -> "_Progress":
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, entry: Any) -> None:
        """Take note of one event of the run."""
        import dagster as dg

        from orchestration.defs.history import failure_sentence, innermost

        event = entry.dagster_event
        if event is None:
            return
        if event.event_type == dg.DagsterEventType.STEP_START:
            self._display.update(self._task, description=str(event.step_key).replace("__", "."))
        elif event.event_type in (
            dg.DagsterEventType.STEP_SUCCESS,
            dg.DagsterEventType.STEP_FAILURE,
            dg.DagsterEventType.STEP_SKIPPED,
        ):
            self._display.advance(self._task)
            if event.event_type == dg.DagsterEventType.STEP_SUCCESS and event.step_key == "release__datamart":
                self.is_published = True
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            self.errors.append(failure_sentence(event))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and not self.errors:
            self.errors.append(innermost(event.job_failure_data.error))  # it failed before its first step
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            outcome = (
                "passed" if check.passed else "warned" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
            )
            self.checks[outcome] += 1
            if outcome == "failed":
                self.failed_checks.append(f"{check.asset_key.to_user_string()}: check {check.check_name} failed")


def _failures(settings: Settings, window: Window, progress: _Progress) -> list[str]:
    """Why a run failed: the deliveries refused, the checks that failed, the errors."""
    tables = window.tables or tuple(load_contracts(settings.contracts))
    sentences = raw_zone.refusals(settings, tables, window.first, window.last)
    known = [e for e in progress.errors if "check" not in e.lower() or not progress.failed_checks]
    return sentences + ([] if sentences else progress.failed_checks[:10]) + known


def deliveries_by_table(settings: Settings) -> list[tuple[str, str, str, str, str, str]]:
    """Table, days failed, days of another contract, rows in quarantine, their trend, and the trend of broken rules."""
    lines = []
    for table, contract in load_contracts(settings.contracts).items():
        known = raw_zone.partitions(settings, table).values()
        trend = bad_rows.trend(contract, known)
        rules = [f"{name} {now:,} ({then:,.1f})" for name, (now, then) in list(trend.rules.items())[:3]]
        lines.append(
            (
                table,
                str(sum(not p.loaded for p in known)),
                str(len(raw_zone.stale_days(settings, contract))),
                f"{sum(p.rows_quarantined for p in known):,}",
                f"{_percent(trend.latest_share)} ({_percent(trend.before_share)})",
                ", ".join(rules),
            )
        )
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def notices(settings: Settings) -> list[str]:
    """What somebody should know of the deliveries, a sentence each: stale days, columns that are not captured."""
    sentences = []
    for table, contract in load_contracts(settings.contracts).items():
        stale = raw_zone.stale_days(settings, contract)
        sentences += [raw_zone.stale_sentence(contract, stale)] if stale else []
        loaded = [p for p in raw_zone.partitions(settings, table).values() if p.loaded and p.fingerprint]
        if loaded and loaded[-1].uncaptured:
            names = ", ".join(loaded[-1].uncaptured)
            sentences.append(f"{table}: delivered on {loaded[-1].day} but not captured by the contract: {names}")
    return sentences
