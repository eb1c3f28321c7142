"""What Dagster knows of a run, as an entry of the ledger; and the ledger, as the UI shows it."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from orchestration import disk, ledger, raw_zone, releases
from orchestration.contracts import Contract
from orchestration.settings import Settings

#: Tags that a user may give a run, in the dialog that launches it or by the command line.
WHO, WHY = "fidelis/who", "fidelis/why"
#: Tag that a run carries when it has ended.
RESULT = "fidelis/result"
#: Tag of a run of the command line: its process.
PID = "fidelis/pid"
#: Tag of a run that builds from nothing.
FULL_REFRESH = "fidelis/full_refresh"
#: Tag of a run that takes a required delivery that is not there for an empty one.
ACCEPT_MISSING = "fidelis/accept_missing"
#: Tag of a run that takes deliveries that are not as usual as they are.
ACCEPT_DRIFT = "fidelis/accept_drift"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

LEDGER = dg.AssetKey(["control", "ledger"])

_SHOWN = 20
_OPTIONS = {FULL_REFRESH: "full refresh", ACCEPT_MISSING: "missing deliveries accepted", ACCEPT_DRIFT: "drift accepted"}


def entry_of(run: dg.DagsterRun, contracts: Mapping[str, Contract]) -> ledger.Entry:
    """A run that begins, from its tags and its selection."""
    tags = run.tags
    first, last = (tags.get(name, tags.get("dagster/partition")) for name in (RANGE_START, RANGE_END))
    return ledger.Entry(
        run_id=run.run_id,
        who=tags.get(WHO) or tags.get("user") or ledger.os_user(),
        source=_source(tags),
        why=tags.get(WHY) or ("the night" if "dagster/schedule_name" in tags else ""),
        first=date.fromisoformat(first) if first else None,
        last=date.fromisoformat(last) if last else None,
        tables=_tables(run, contracts),
        options=", ".join(text for tag, text in _OPTIONS.items() if tag in tags),
        began=datetime.now(UTC),
    )


def _source(tags: Mapping[str, str]) -> str:
    if "dagster/schedule_name" in tags:
        return "schedule"
    if PID in tags:
        return "command line"
    return f"backfill {tags['dagster/backfill']}" if "dagster/backfill" in tags else "UI"


def _tables(run: dg.DagsterRun, contracts: Mapping[str, Contract]) -> str:
    if not run.asset_selection:
        return "all"
    chosen = sorted(key.path[1] for key in run.asset_selection if key.path[0] == "raw")
    return "all" if set(chosen) == set(contracts) else ", ".join(chosen) or "none"


def outcome(
    settings: Settings,
    contracts: Mapping[str, Contract],
    instance: dg.DagsterInstance,
    entry: ledger.Entry,
    before: releases.Release | None,
    known: set[str],
) -> tuple[str, str]:
    """State and result of a run: the release that is not among those ``known`` before it, or why there is none."""
    made = [r for r in releases.list_releases(settings) if r.release_id not in known]
    failures = instance.get_records_for_run(entry.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    failed = [failure_sentence(record.event_log_entry.get_dagster_event()) for record in failures[:3]]
    if made:
        return ledger.PUBLISHED, "; but ".join([ledger.describe_release(made[0], before), *failed])
    sentences = []
    if entry.first is not None and entry.last is not None:
        sentences = raw_zone.refusals(settings, contracts, entry.first, entry.last)
    if failed:
        return ledger.FAILED, "; ".join(sentences[:3] or failed)
    run = instance.get_run_by_id(entry.run_id)
    steps = run.asset_selection if run is not None else None
    if steps and not any(key.path[0] == "release" for key in steps):
        return ledger.LOADED, "done; a release was not asked for"
    return ledger.STOPPED, "stopped before its end"


def failure_sentence(event: dg.DagsterEvent) -> str:
    """Why a step failed: the sentence written for the reader, or else the cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return innermost(data.error)


def innermost(error: Any) -> str:
    """The cause at the bottom of a chain of errors, as one line; a full disk wherever in the chain."""
    while error is not None and error.cause is not None and not disk.is_full(error.message):
        error = error.cause
    if error is not None and disk.is_full(error.message):
        return disk.SENTENCE
    sentence = " ".join(error.message.split()) if error is not None else "unknown error"
    return re.sub(r"^orchestration\.[\w.]+: ", "", sentence)


def show(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Give the UI the last entries, as the latest materialisation of the asset ``control/ledger``."""
    rows = ["| began (UTC) | who | from | why | days | tables | state | result |", "|---|---|---|---|---|---|---|---|"]
    for entry in reversed(ledger.read(settings)[-_SHOWN:]):
        why = "; ".join(filter(None, (entry.why, entry.options)))
        cells = (f"{entry.began:%Y-%m-%d %H:%M}", entry.who, entry.source, why, entry.days, entry.tables, entry.state)
        rows.append("| " + " | ".join(text.replace("|", "/") for text in (*cells, entry.result)) + " |")
    shown = dg.AssetMaterialization(LEDGER, metadata={"last runs": dg.MetadataValue.md("\n".join(rows))})
    instance.report_runless_asset_event(shown)


@dg.definitions
def history() -> dg.Definitions:
    """The ledger as an asset that nobody materialises: each run adds its line."""
    spec = dg.AssetSpec(
        LEDGER, group_name="control", description="Who ran which days, why, and what came of it: the last runs."
    )
    return dg.Definitions(assets=[spec])
