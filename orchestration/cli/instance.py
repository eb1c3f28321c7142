"""The Dagster instance of this FIDELIS_HOME: its configuration file, its pool limit, its orphans."""

import os
import shutil
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from filelock import FileLock

from orchestration.settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    import dagster as dg


def open_instance(settings: Settings) -> "dg.DagsterInstance":
    """The instance, migrated, with one writer at a time, and without runs that a crash left behind.

    One process at a time: two that create a fresh DAGSTER_HOME at once corrupt it.
    """
    settings.export()
    settings.dagster_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.dagster_dir / "start.lock"):
        shutil.copyfile(PROJECT_DIR / "deploy" / "dagster.yaml", settings.dagster_dir / "dagster.yaml")
        import dagster as dg

        instance = dg.DagsterInstance.get()
        migrated = settings.dagster_dir / "migrated"
        if not migrated.exists() or migrated.read_text() != dg.__version__:
            with redirect_stdout(StringIO()):  # it reports every database it looks at
                instance.upgrade()
            migrated.write_text(dg.__version__)
        instance.event_log_storage.set_concurrency_slots("warehouse", 1)
        _fail_orphans(instance)
    return instance


def _fail_orphans(instance: "dg.DagsterInstance") -> None:
    """Mark runs of the command line as failed whose process is gone; the daemon watches over its own."""
    import dagster as dg

    from orchestration.defs.history import PID

    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        pid = run.tags.get(PID)
        if pid is not None and not _alive(int(pid)):
            instance.report_run_failed(run, "its process was killed; the next run takes up its work")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
