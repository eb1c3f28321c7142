"""One night from the command line: which days, the same Dagster job as the schedule, what came of it."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestration import raw_zone, releases
from orchestration.contracts import Contract, load_contracts
from orchestration.extraction import pending_days, stale_days
from orchestration.settings import Settings
from orchestration.sources.deliveries import discover

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Window:
    """The delivery days of a run, both ends included."""

    first: date
    last: date
    full_refresh: bool = False
    accept_missing: bool = False
    accept_drift: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a run: published or not, its checks, and why it failed."""

    published: bool
    checks: dict[str, int]
    failures: list[str]


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
        first, last = pending[0], pending[-1]
    first, last = first or settings.first_day, last or through
    if not settings.first_day <= first <= last <= through:
        raise ValueError(
            f"cannot run {first} to {last}: days begin on {settings.first_day} (FIDELIS_FIRST_DAY) and end yesterday, {through}"
        )
    return Window(first, last, full_refresh, accept_missing, accept_drift)


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
    """Run the job ``nightly`` in this process and this instance, showing progress."""
    import logging
    import uuid

    from orchestration.cli.instance import open_instance, process_tags

    with console.status("starting"):
        instance = open_instance(settings)
        from orchestration.definitions import defs
        from orchestration.defs.automation import RANGE_END, RANGE_START
        from orchestration.defs.dbt import FULL_REFRESH
        from orchestration.defs.extract import ACCEPT_DRIFT, ACCEPT_MISSING

        job = defs().resolve_job_def("nightly")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    run_id = str(uuid.uuid4())
    progress = _Progress(console, len(job.graph.nodes))
    instance.add_event_listener(run_id, progress)
    tags = {RANGE_START: window.first.isoformat(), RANGE_END: window.last.isoformat(), **process_tags()}
    if window.full_refresh:
        tags[FULL_REFRESH] = "true"
    if window.accept_missing:
        tags[ACCEPT_MISSING] = "true"
    if window.accept_drift:
        tags[ACCEPT_DRIFT] = "true"
    with progress:
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return Outcome(result.success, progress.checks, _failures(settings, window, progress))


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

    def __enter__(self) -> "_Progress":
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, entry: Any) -> None:
        """Take note of one event of the run."""
        import dagster as dg

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
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            described = data.user_failure_data.description if data.user_failure_data else None
            self.errors.append(described or _innermost(data.error))
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            outcome = (
                "passed" if check.passed else "warned" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
            )
            self.checks[outcome] += 1
            if outcome == "failed":
                self.failed_checks.append(f"{check.asset_key.to_user_string()}: check {check.check_name} failed")


def _innermost(error: Any) -> str:
    """The cause at the bottom of a chain, as one line: the sentence somebody wrote for the reader."""
    while error is not None and error.cause is not None:
        error = error.cause
    sentence = " ".join(error.message.split()) if error is not None else "unknown error"
    return re.sub(r"^orchestration\.[\w.]+: ", "", sentence)


def _failures(settings: Settings, window: Window, progress: _Progress) -> list[str]:
    """Why a run failed: the deliveries refused, the checks that failed, the errors."""
    sentences = []
    for table in load_contracts(settings.contracts):
        refused = [
            p.failure
            for p in raw_zone.partitions(settings, table).values()
            if p.failure and window.first <= p.day <= window.last
        ]
        sentences += refused[:3]
        if len(refused) > 3:
            sentences.append(f"{table}: {len(refused) - 3} more days like these")
    known = [e for e in progress.errors if "check" not in e.lower() or not progress.failed_checks]
    return sentences + ([] if sentences else progress.failed_checks[:10]) + known


def last_runs(settings: Settings, limit: int = 5) -> list[tuple[str, str, str, str]]:
    """Id, state, days and start of the last runs."""
    from orchestration.cli.instance import open_instance

    instance = open_instance(settings)
    from orchestration.defs.automation import RANGE_END, RANGE_START

    rows = []
    for record in instance.get_run_records(limit=limit):
        tags = record.dagster_run.tags
        days = tags.get("dagster/partition") or f"{tags.get(RANGE_START, '?')} to {tags.get(RANGE_END, '?')}"
        rows.append(
            (
                record.dagster_run.run_id[:8],
                record.dagster_run.status.value,
                days,
                f"{record.create_timestamp:%Y-%m-%d %H:%M} UTC",
            )
        )
    return rows


def quarantine_counts(settings: Settings) -> list[tuple[str, str, str, str, str]]:
    """Table, days failed, days of another contract, rows in quarantine and the rules most often broken."""
    rows = []
    for table, contract in load_contracts(settings.contracts).items():
        known = raw_zone.partitions(settings, table).values()
        rules: Counter[str] = Counter()
        for partition in known:
            rules.update(partition.violations)
        common = ", ".join(f"{name} {count:,}" for name, count in rules.most_common(3))
        failed, stale = sum(not p.loaded for p in known), len(stale_days(settings, contract))
        held = f"{sum(p.rows_quarantined for p in known):,}"
        rows.append((table, str(failed), str(stale), held, common))
    return rows
