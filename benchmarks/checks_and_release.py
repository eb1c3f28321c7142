"""The data tests beside their bare SQL, and a release's copy beside a plain copy, on the mart of a home that was built.

Run: FIDELIS_HOME=... python -m benchmarks.checks_and_release [--times 3]
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from orchestration import dbt_runner, dbt_tests, warehouse
from orchestration.raw_zone import sync
from orchestration.releases import current
from orchestration.releases.catalogue import switch
from orchestration.releases.publish import copy_audited, copy_compared
from orchestration.settings import Settings, load_settings
from orchestration.warehouse import DATAMART, RESTRICTED


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU of a call."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (
        time.perf_counter() - began,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def in_turn(times: int, work: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Medians of wall and CPU of several calls, taken turn by turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(times):
        for name, call in work.items():
            taken[name].append(seconds(call))
    return {name: (median(w for w, _ in costs), median(c for _, c in costs)) for name, costs in taken.items()}


def bare_checks(settings: Settings, tests: list[str]) -> None:
    """Each test's SQL as dbt compiled it, one after the other."""
    compiled = dbt_runner.data_tests(settings)
    with warehouse.connect_built(settings) as con:
        for unique_id in tests:
            con.execute(f"select count(*) from ({compiled[unique_id]})").fetchall()


def copied(settings: Settings, folder: Path, copy: Callable[[Path, Path], object]) -> None:
    """The mart's files copied in some way."""
    for name in (DATAMART, RESTRICTED):
        copy(settings.warehouse_dir / name, folder / f"copied-{name}")


def plainly(source: Path, target: Path) -> None:
    """Copied and synced."""
    shutil.copyfile(source, target)
    sync(target)


def audited_copy(settings: Settings, folder: Path) -> None:
    """What a release does with them: copied, synced, every table counted, summed and compared, checksums taken."""
    for name in (DATAMART, RESTRICTED):
        (folder / name).unlink(missing_ok=True)
        copy_audited(settings, name, folder)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    settings = load_settings()
    settings.export()
    release = current(settings)
    if release is None:
        raise SystemExit(f"nothing was published in {settings.home}")
    tests = sorted(dbt_runner.data_tests(settings))
    with tempfile.TemporaryDirectory(dir=settings.home) as scratch:
        folder = Path(scratch)
        taken = in_turn(
            times,
            {
                f"{len(tests)} data tests": lambda: dbt_tests.run(settings, tests, []),
                "their bare SQL": lambda: bare_checks(settings, tests),
                "copy of a release, compared byte by byte": lambda: copied(settings, folder, copy_compared),
                "the same, with rows, sums and checksums of every table": lambda: audited_copy(settings, folder),
                "plain copy, synced": lambda: copied(settings, folder, plainly),
                "switch": lambda: switch(settings, release.release_id),
            },
        )
    print("| what | wall s | CPU s |\n|---|---|---|")
    for name, (wall, cpu) in taken.items():
        print(f"| {name} | {wall:.3f} | {cpu:.3f} |")


if __name__ == "__main__":
    main()
