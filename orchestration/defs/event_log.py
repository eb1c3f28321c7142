"""Dagster's SQLite event log, with its connections kept open and many events in one transaction.

Dagster opens a database anew for each event, and syncs the disk twice: 30 ms an event measured, ten seconds
of a night with its 800 events, five minutes for the first load of two years (one materialisation per table
and day). Here connections are kept, WAL files are synced at checkpoints (a power cut may cost the last
events of a run, never the database), batches (DAGSTER_EVENT_BATCH_SIZE) are stored at once, and events that come in
bursts, as the results of checks do, wait in memory for the next event of another kind or for who reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from threading import Lock
from typing import Any

from dagster import AssetExecutionContext, AssetKey, DagsterEventType, EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event, select

#: Databases kept open: the index and the runs in hand.
_OPEN = 4
_BUSY_SECONDS = 30
_INDEX = "index"

#: What a step yields by the hundred, and how many of them may wait.
_IN_BURSTS = {
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}
_WAITING = 500


def add_metadata(context: AssetExecutionContext, by_partition: Mapping[str, Mapping[str, Any]]) -> None:
    """``context.add_asset_metadata`` of many partitions at once: it copies and checks those before for each one more."""
    step = context.get_step_execution_context()
    handles = {AssetMetadataHandle(asset_key=context.asset_key, partition_key=key): key for key in by_partition}
    step._metadata_accumulator = OutputMetadataAccumulator(
        per_output_metadata={
            **step._metadata_accumulator.per_output_metadata,
            **{handle: by_partition[key] for handle, key in handles.items()},
        }
    )


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage with kept connections and a ``store_event_batch`` of its own."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        self._engines: dict[str, Engine] = {}
        self._waiting: list[EventLogEntry] = []
        self._waiting_lock = Lock()
        super().__init__(base_dir=base_dir, inst_data=inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "BatchingSqliteEventLogStorage":
        """Called by Dagster with the section of dagster.yaml."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        self._store_waiting()
        with self._connect_as_it_is(shard) as connection:
            yield connection

    @contextmanager
    def _connect_as_it_is(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            while len(self._engines) >= _OPEN:
                oldest = next(name for name in self._engines if name != _INDEX)
                self._engines.pop(oldest).dispose()
            engine = create_engine(
                self.conn_string_for_shard(shard), pool_size=1, connect_args={"timeout": _BUSY_SECONDS}
            )
            event.listen(engine, "connect", lambda raw, _: raw.execute("pragma synchronous = normal"))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
        return self._engines[shard]

    @property
    def supports_asset_checks(self) -> bool:
        """Always: the databases are this Dagster's own. Dagster looks their tables up anew for each event."""
        return True

    def has_table(self, table_name: str) -> bool:
        """Always, for the same reason."""
        return True

    def has_asset_key_col(self, column_name: str) -> bool:
        """Always, for the same reason."""
        return True

    def dispose(self) -> None:
        """Store what waits and close the kept connections."""
        self._store_waiting()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; one that comes in a burst waits for the others, so that a reader still finds all in their order."""
        if event.dagster_event_type not in _IN_BURSTS:
            super().store_event(event)
            return
        with self._waiting_lock:
            self._waiting.append(event)
        if len(self._waiting) >= _WAITING:
            self._store_waiting()

    def get_asset_records(self, asset_keys: Sequence[AssetKey] | None = None) -> Sequence[AssetRecord]:
        """The latest materialisations; each check asks for that of its asset, and checks that wait do not change it."""
        if any(e.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION for e in self._waiting):
            self._store_waiting()
        waiting = self._take_waiting()
        try:
            return super().get_asset_records(asset_keys)
        finally:
            with self._waiting_lock:
                self._waiting = waiting + self._waiting

    def _take_waiting(self) -> list[EventLogEntry]:
        with self._waiting_lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def _store_waiting(self) -> None:
        for _, events in groupby(self._take_waiting(), key=lambda waits: waits.run_id):
            self.store_event_batch(list(events))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run: all of them, or, on an error, none."""
        rows = [self._event_to_row(event) for event in events]
        with self._connect(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        mirrored = [
            (event, row)
            for event, row in zip(events, rows, strict=True)
            if event.dagster_event_type in ASSET_EVENTS | ASSET_CHECK_EVENTS
        ]
        if mirrored:
            with self._connect_as_it_is(_INDEX) as connection:
                self._mirror(connection, [event for event, _ in mirrored], [row for _, row in mirrored])

    def _mirror(self, connection: Connection, events: Sequence[EventLogEntry], rows: list[dict[str, Any]]) -> None:
        """Write events of assets and checks into the database of all runs."""
        first = connection.execute(SqlEventLogStorageTable.insert(), rows[0]).lastrowid
        if rows[1:]:
            connection.execute(SqlEventLogStorageTable.insert(), rows[1:])
        # the first insert took the write lock, so the numbers that follow are ours
        numbers = range(first, first + len(rows))
        of_assets = [(e, n) for e, n in zip(events, numbers, strict=True) if e.dagster_event_type in ASSET_EVENTS]
        if of_assets:
            self._store_asset_event_tags(connection, [e for e, _ in of_assets], [n for _, n in of_assets])
        # the asset's entry keeps its latest event only
        latest = {entry.get_dagster_event().asset_key: (entry, number) for entry, number in of_assets}
        for entry, number in latest.values():
            self._store_asset_event(connection, entry, number)
        evaluated = [
            self._evaluation(entry, row, number)
            for entry, row, number in zip(events, rows, numbers, strict=True)
            if entry.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        if evaluated:
            self._store_evaluations(connection, evaluated)

    def _evaluation(self, entry: EventLogEntry, row: dict[str, Any], number: int) -> dict[str, Any]:
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        target = evaluation.target_materialization_data
        status = AssetCheckExecutionRecordStatus
        return {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "partition": evaluation.partition,
            "run_id": entry.run_id,
            "execution_status": (status.SUCCEEDED if evaluation.passed else status.FAILED).value,
            "evaluation_event": row["event"],
            "evaluation_event_timestamp": row["timestamp"],
            "evaluation_event_storage_id": number,
            "materialization_event_storage_id": target.storage_id if target else None,
        }

    def _store_evaluations(self, connection: Connection, evaluated: list[dict[str, Any]]) -> None:
        """Results of checks, each in place of its plan where the run's starter noted plans one by one."""
        table = AssetCheckExecutionsTable
        keys = (table.c.asset_key, table.c.check_name, table.c.partition)
        planned = {
            tuple(key): number
            for number, *key in connection.execute(
                select(table.c.id, *keys).where(table.c.run_id == evaluated[0]["run_id"])
            )
        }
        new = []
        for values in evaluated:
            number = planned.get(tuple(values[column.name] for column in keys))
            if number is None:
                new.append(values)
            else:
                connection.execute(table.update().where(table.c.id == number).values(values))
        if new:
            connection.execute(table.insert(), new)
