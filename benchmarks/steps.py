"""What each step of a run took, beside the same step of the limit: seconds and rows from Dagster's event log, memory by samples."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Steps of limit.py, and the models that make the same of what Fidelis keeps; the rows are the last one's.
_BOTH = {
    "dims": ("stg_erp__channels", "stg_erp__products", "stg_marketing__campaigns", "dim_channel", "dim_campaign", "dim_product",
             "dim_date"),
    "scd2": ("stg_crm__customers", "int_customer_profiles", "int_customer_versions", "dim_customer"),
    "lines": ("stg_shop__order_lines", "fct_order_lines"),
    "orders": ("stg_shop__orders", "int_orders_enriched", "fct_orders"),
    "sessions": ("stg_web__events", "fct_web_sessions"),
    "responses": ("stg_marketing__reactions", "stg_marketing__messages", "fct_campaign_reactions", "fct_campaign_messages"),
    "rfm": ("int_customer_activity_monthly", "int_customer_rfm_states", "int_rfm_score_bounds", "customer_rfm_monthly"),
    "ltv": ("customer_value",),
    "clv": ("int_ltv_customers", "int_ltv_order_days", "int_ltv_backtested", "int_ltv_estimated", "customer_ltv"),
    "kpis": ("cohort_monthly", "campaign_performance", "kpi_monthly"),
    "dq": ("data tests",),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A part of the pipeline or a model; ``peak`` is the process's highest resident memory in GB meanwhile, nan where not known."""

    seconds: float
    rows: int | None
    peak: float = float("nan")


@contextmanager
def watched(pid: int, samples: Path) -> Any:
    """Note a process's resident memory four times a second."""
    seen: list[tuple[float, float]] = []
    done = threading.Event()

    def look() -> None:
        with suppress(OSError):
            while not done.wait(0.25):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                seen.append((time.time(), pages * os.sysconf("SC_PAGE_SIZE") / 1e9))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        samples.write_text(json.dumps(seen))


def read(variables: Mapping[str, str], samples: Path) -> dict[str, Step]:
    """The steps of the last run of a home, which its environment names."""
    script = "import benchmarks.steps as s; s.tell()"
    told = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **variables}, check=True, capture_output=True
    )
    memory = json.loads(samples.read_text())
    steps = {}
    for name, (seconds, rows, begin, end) in json.loads(told.stdout.splitlines()[-1]).items():
        during = [gb for at, gb in memory if begin is not None and begin <= at <= end]
        steps[name] = Step(seconds, rows, max(during, default=float("nan")))
    return steps


def tell() -> None:
    """Print the steps of the last run of this FIDELIS_HOME as JSON: name -> seconds, rows, begin, end."""
    import dagster as dg

    from orchestration.settings import load_settings

    load_settings().export()
    instance = dg.DagsterInstance.get()
    run = instance.get_runs(limit=1)[0].run_id
    said: dict[str, list[Any]] = {}

    def add(name: str, seconds: float, rows: Any = None, begin: float | None = None, end: float | None = None) -> None:
        known = said.setdefault(name, [0.0, None, begin, end])
        known[0] += seconds
        known[1] = known[1] if rows is None else (known[1] or 0) + int(rows.value)
        known[3] = end or known[3]

    part = {}
    for stats in sorted(instance.get_run_step_stats(run), key=lambda s: s.start_time or 0):
        if stats.start_time and stats.end_time:
            part[stats.step_key] = "extraction" if stats.step_key.startswith("raw__") else stats.step_key
            add(part[stats.step_key], stats.end_time - stats.start_time, None, stats.start_time, stats.end_time)
    for entry in instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        found = entry.asset_materialization
        if found is not None:
            rows = found.metadata.get("dagster/row_count") or found.metadata.get("rows")
            add(part[str(entry.step_key)], 0, rows)
            if "seconds" in found.metadata:
                add(found.asset_key.path[-1], float(found.metadata["seconds"].value), rows)  # type: ignore[arg-type]
    for entry in instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.get_dagster_event().asset_check_evaluation_data
        if "rows_failing" in check.metadata:
            add("data tests", float(check.metadata["seconds"].value), check.metadata["rows_failing"])  # type: ignore[arg-type]
    print(json.dumps(said))


def tables(full: Mapping[str, Step], day: Mapping[str, Step], limit: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Lines of Markdown: the parts of the pipeline; the steps that both have; the other models."""
    parts = ("extraction", "identity_registry", "dbt_models", "release__datamart")
    yield "\n| step | full build, s | rows | peak GB | one more day, s |\n|---|---|---|---|---|"
    for name in parts:
        yield f"| {name} | {full[name].seconds:.1f} | {full[name].rows or 0:,} | {full[name].peak:.2f} | {_seconds(day, name)} |"
    yield "\nTwo models at a time: seconds of models are up to twice what they would be alone.\n"
    yield "| step | full build, s | rows | one more day, s | limit, s | rows | peak GB | ratio |\n|---|---|---|---|---|---|---|---|"
    for name, models in _BOTH.items():
        ours = sum(full[m].seconds for m in models if m in full)
        days = sum(day[m].seconds for m in models if m in day)
        theirs = limit[name]
        yield (
            f"| {name} | {ours:.1f} | {full[models[-1]].rows or 0:,} | {days:.1f} | {theirs['wall']:.1f} | "
            f"{int(theirs['rows'] or 0):,} | {theirs['peak_gb']:.2f} | {ours / max(theirs['wall'], 0.05):.1f} |"
        )
    yield "\n| what the limit does not have | full build, s | rows | one more day, s |\n|---|---|---|---|"
    others = set(full) - {
        "mart__ltv_backtest_deserves_to_be_published",
        *parts,
        *(m for models in _BOTH.values() for m in models),
    }
    for name in sorted(others, key=lambda n: -full[n].seconds)[:25]:
        yield f"| {name} | {full[name].seconds:.1f} | {full[name].rows or 0:,} | {_seconds(day, name)} |"


def _seconds(steps: Mapping[str, Step], name: str) -> str:
    return f"{steps[name].seconds:.1f}" if name in steps else ""
