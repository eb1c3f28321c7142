"""The event log says what Dagster's own says: materialisations by partition, checks, and the events of a run in their order."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration.defs.event_log import BatchingSqliteEventLogStorage, add_metadata

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-06")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PLANNED = AssetCheckExecutionRecordStatus.PLANNED


@dg.asset(
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("complete", asset="raw"), dg.AssetCheckSpec("fresh", asset="raw")],
)
def raw(context: dg.AssetExecutionContext) -> Any:
    add_metadata(context, {key: {"rows": int(key[-2:]), "day": key} for key in context.partition_keys[:3]})
    yield dg.MaterializeResult(
        metadata={"days": len(context.partition_keys)},
        check_results=[
            dg.AssetCheckResult(check_name="complete", passed=True, metadata={"rows": 5}),
            dg.AssetCheckResult(check_name="fresh", passed=False, severity=dg.AssetCheckSeverity.WARN),
        ],
    )


@dg.multi_asset(
    specs=[dg.AssetSpec("mart", deps=["raw"]), dg.AssetSpec("other")],
    check_specs=[dg.AssetCheckSpec(f"rule_{i}", asset="mart") for i in range(5)],
)
def mart() -> Any:
    yield dg.MaterializeResult(asset_key="mart", metadata={"rows": 7})
    for i in range(5):
        yield dg.AssetCheckResult(asset_key="mart", check_name=f"rule_{i}", passed=True)
    yield dg.MaterializeResult(asset_key="other")


def told(home: Path, storage: type[SqliteEventLogStorage]) -> dict[str, Any]:
    """What an instance with this event log answers after two runs of everything."""
    base = {"base_dir": str(home / "events")}
    overrides = {
        "event_log_storage": {"module": storage.__module__, "class": storage.__name__, "config": base},
        "telemetry": {"enabled": False},
    }
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides) as instance:
        assert type(instance.event_log_storage) is storage
        tags = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-05"}
        runs = [dg.materialize([raw, mart], instance=instance, tags=tags, run_config=QUIET).run_id for _ in range(2)]
        keys = [dg.AssetKey("raw"), dg.AssetKey("mart"), dg.AssetKey("other")]
        checks = [dg.AssetCheckKey(keys[0], "fresh"), dg.AssetCheckKey(keys[1], "rule_4")]
        records = instance.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION))
        entries = [[r.event_log_entry for r in instance.get_records_for_run(run).records] for run in runs]
        materialised = [r.asset_materialization for r in records if r.asset_materialization is not None]
        evaluated = [
            [
                h
                for h in instance.event_log_storage.get_asset_check_execution_history(c, limit=20)
                if h.status != PLANNED
            ]
            for c in checks
        ]
        results = [[h.event.dagster_event.asset_check_evaluation_data for h in each if h.event] for each in evaluated]
        return {
            "events": [
                [(e.dagster_event_type, e.step_key, e.dagster_event and e.dagster_event.partition) for e in entry]
                for entry in entries
            ],
            "materialised": [(m.asset_key, m.partition, sorted(m.metadata.items())) for m in materialised],
            "partitions": instance.get_materialized_partitions(keys[0]),
            "latest": [
                (
                    r.asset_entry.asset_key,
                    r.asset_entry.last_run_id in runs,
                    r.asset_entry.last_materialization_storage_id,
                )
                for r in instance.get_asset_records(keys)
            ],
            "checks": [[(h.status, runs.index(h.run_id), h.partition) for h in each] for each in evaluated],
            "results": [[(r.passed, r.severity, r.metadata) for r in each] for each in results],
            "targets": [runs.index(r.target_materialization_data.run_id) for r in results[1]],
        }


@pytest.mark.parametrize("batch", ["0", "2000"])
def test_it_says_what_dagsters_own_says(batch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
    expected = told(tmp_path / "own", SqliteEventLogStorage)
    assert told(tmp_path / "ours", BatchingSqliteEventLogStorage) == expected
    assert len(expected["materialised"]) == 14
    assert expected["targets"] == [1, 0]
