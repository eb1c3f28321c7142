"""What the assets share: the settings, the contracts, and the right to write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from filelock import FileLock

from orchestration import raw_zone
from orchestration.contracts import load_contracts
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
        """Hold the lock for the whole run, after sweeping what killed runs left."""
        settings.home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(settings.home / "writer.lock")
        if not _try(lock) and context.log:
            context.log.info("another run is writing; this one waits for it")
            lock.acquire()
        try:
            raw_zone.sweep(settings)
            yield self
        finally:
            lock.release()


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        return False
    return True


@dg.definitions
def resources() -> dg.Definitions:
    """The in-process executor: every step of a run, backfills included, shares one process and its imports."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "2000")
    return dg.Definitions(resources={"writer": WriterLock()}, executor=dg.in_process_executor)
