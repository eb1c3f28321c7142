"""What the assets share: the settings, the contracts, and the right to write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from filelock import FileLock

from orchestration import ledger, raw_zone, releases
from orchestration.contracts import load_contracts
from orchestration.defs import history
from orchestration.settings import load_settings

settings = load_settings()
settings.export()
contracts = load_contracts(settings.contracts)

#: Every writer is in this pool (limit 1), and holds the file lock below besides.
WRITER_POOL = "warehouse"


class WriterLock(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The file lock of the one process that may write; a second one waits.

    Pools hold only for runs that the daemon starts; this holds for the command line too, and the kernel
    frees it when the process dies.
    """

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WriterLock"]:
        """Hold the lock for the whole run, after sweeping what killed runs left; the run enters the ledger."""
        lock = ledger.writer_lock(settings)
        if not _try(lock) and context.log:
            context.log.info("another run is writing; this one waits for it")
            lock.acquire()
        try:
            raw_zone.sweep(settings)
            releases.sweep(settings)
            with _entered(context):
                yield self
        finally:
            lock.release()


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        return False
    return True


@contextmanager
def _entered(context: dg.InitResourceContext) -> Iterator[None]:
    """The run's entry in the ledger, its end included however it ends, except by a kill."""
    run, instance = context.run, context.instance
    if run is None or instance is None:  # the resource alone, outside of any run
        yield
        return
    entry = history.entry_of(run, contracts)
    before, known = releases.current(settings), {r.release_id for r in releases.list_releases(settings)}
    ledger.begin(settings, entry)
    instance.add_run_tags(run.run_id, {history.WHO: entry.who})
    try:
        yield
    finally:
        state, result = history.outcome(settings, contracts, instance, entry, before, known)
        try:
            ledger.end(settings, run.run_id, state, result)
        except OSError as error:  # the run has ended whatever the disk says: it will show as killed
            if context.log:
                context.log.error(f"the end of the run is not in the ledger: {error}")
        instance.add_run_tags(run.run_id, {history.RESULT: f"{state}: {result}"})
        history.show(settings, instance)


@dg.definitions
def resources() -> dg.Definitions:
    """The in-process executor: every step of a run, backfills included, shares one process and its imports."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "2000")
    return dg.Definitions(resources={"writer": WriterLock()}, executor=dg.in_process_executor)
