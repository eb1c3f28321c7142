"""The whole pipeline against the yardstick's hand-written program, on the same files, in turn.

Scenarios, each in processes of their own (``fidelis run``), measured from outside: wall, CPU (user and system) and peak memory.

* ``full``: three years but for the last days, from nothing, published; beside it ``limit.py`` on all of them, turn by turn.
* ``day``: the last days, as many as ``--times``, night by night, on top of the three years; and the same nights on top of one month.
* ``floor``: nights in which nothing is delivered.
* ``backfill``: the last 30 days once more, in one run; nights that were not measured one by one come in with it.

Then the figures that both computed are compared (benchmarks/same_results.py).

Run: python -m benchmarks.night SCALE [--times 3] [--yardstick FOLDER] [--work FOLDER]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median

import yaml

from benchmarks import landing, same_results, steps
from orchestration.identity.ruleset import DEFAULT_RULES
from orchestration.settings import PROJECT_DIR

#: The nights that are measured one by one, the 30 days before them, and the last 30 days.
NIGHTS = [date(2025, 12, 29), date(2025, 12, 30), date(2025, 12, 31)]
MONTH = (date(2025, 11, 29), date(2025, 12, 28))
AGAIN = (date(2025, 12, 2), date(2025, 12, 31))
EMPTY = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the wall, of CPU, and its peak resident memory in GB."""

    wall: float
    cpu: float
    peak: float


def measure(
    command: list[str], log: Path, variables: Mapping[str, str] | None = None, samples: Path = Path(os.devnull)
) -> Cost:
    """Run a process to its end; ``samples`` is where its memory is noted. Raises SystemExit with the end of its output where it fails."""
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(variables or {})}
        )
        with steps.watched(process.pid, samples):
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-3000:]}")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


@dataclass(frozen=True)
class Pipeline:
    """Fidelis on a home and landing folder of its own."""

    home: Path
    deliveries: Path
    first: date
    identity_rules: Path
    scale: float

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        return {
            "FIDELIS_HOME": str(self.home),
            "FIDELIS_LANDING": str(self.deliveries),
            "FIDELIS_CONTRACTS": str(PROJECT_DIR / "benchmarks" / "contracts"),
            "FIDELIS_FIRST_DAY": str(self.first),
            "FIDELIS_TIMEZONE": "UTC",
            "FIDELIS_CURRENCY": "EUR",
            "FIDELIS_IDENTITY_RULES": str(self.identity_rules),
            **sized(self.scale),
            "PYTHONPATH": str(PROJECT_DIR),
        }

    def run(self, first: date, last: date) -> Cost:
        """One night over a window of days."""
        command = [str(Path(sys.executable).with_name("fidelis")), "run", "--from", str(first), "--to", str(last)]
        return measure(command, self.home.with_suffix(".log"), self.variables, self._samples)

    def steps(self) -> dict[str, steps.Step]:
        """What the steps of the last run took."""
        return steps.read(self.variables, self._samples)

    @property
    def _samples(self) -> Path:
        return self.home.with_suffix(".memory.json")


def fresh(home: Path) -> Path:
    """An empty home."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return home


def sized(scale: float) -> dict[str, str]:
    """Settings for so much data, where the environment has none: what the widest models need, one at a time where they are long."""
    fitting = {"FIDELIS_MEMORY": f"{1000 + 3000 * scale:.0f}MB", "FIDELIS_DBT_THREADS": "2" if scale < 0.5 else "1"}
    return {name: os.environ.get(name, value) for name, value in fitting.items()}


def exact_rules(work: Path) -> Path:
    """The default rules of identity without the comparison of what is similar: the yardstick has no counterpart of it."""
    rules = yaml.safe_load(DEFAULT_RULES.read_text())
    rules["similar"]["compare"] = False
    file = work / "identity_rules.yaml"
    file.write_text(yaml.safe_dump(rules))
    return file


def limit(yardstick: Path, files: Path, work: Path) -> tuple[Cost, dict[str, dict[str, float]]]:
    """The yardstick's program on its own files."""
    script = [sys.executable, str(yardstick / "limit.py"), "--landing", str(files), "--format", "parquet"]
    options = ["--db", str(work / "limit.duckdb"), "--json", str(work / "limit.json"), "--threads", "2"]
    cost = measure([*script, *options], work / "limit.log")
    figures = json.loads((work / "limit.json").read_text())
    # it sets the kernel's mark back before each step
    return replace(cost, peak=max(step.get("peak_gb", 0) for step in figures.values())), figures


def middle(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(median(c.wall for c in costs), median(c.cpu for c in costs), median(c.peak for c in costs))


def line(name: str, cost: Cost, against: Cost | None = None) -> str:
    """A row of the table; ratios where there is something to compare with."""
    cells = [name, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.peak:.2f}"]
    if against is not None:
        cells += [
            f"{a / b:.2f}" for a, b in ((cost.wall, against.wall), (cost.cpu, against.cpu), (cost.peak, against.peak))
        ]
    else:
        cells += ["", "", ""]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=float)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--yardstick", type=Path, default=PROJECT_DIR.parent / "shared" / "yardstick")
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    if not (asked.yardstick / "limit.py").exists():
        raise SystemExit(f"{asked.yardstick} holds no limit.py; --yardstick names the folder that does")
    work = (asked.work or Path(tempfile.mkdtemp(prefix="bench-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    files = landing.generate(asked.yardstick.resolve(), asked.scale, work)
    rules = exact_rules(work)

    def pipeline(name: str, first: date) -> Pipeline:
        deliveries = landing.delivered(files, work, first)
        return Pipeline(fresh(work / "homes" / name), deliveries, first, rules, asked.scale)

    print(f"\nScale {asked.scale:g}, load before: {os.getloadavg()[0]:.1f}\n")
    ours, bare, full_steps = [], [], {}
    for _ in range(asked.times):
        full = pipeline("full", landing.FIRST)
        ours.append(full.run(landing.FIRST, MONTH[1]))
        full_steps = full.steps()
        cost, figures = limit(asked.yardstick, files, work)
        bare.append(cost)
    print("| what | wall s | CPU s | peak GB | wall ratio | CPU ratio | peak ratio |\n|---|---|---|---|---|---|---|")
    print(line("full build", middle(ours), middle(bare)))
    print(line("limit.py", middle(bare)), flush=True)

    on_all = middle([full.run(day, day) for day in NIGHTS[: asked.times]])
    day_steps = full.steps()
    print(line("one more day on three years, against the full build", on_all, middle(ours)), flush=True)
    short = pipeline("short", MONTH[0])
    short.run(*MONTH)
    on_month = middle([short.run(day, day) for day in NIGHTS[: asked.times]])
    print(line("one more day on three years, against one on a month", on_all, on_month))
    print(line("one more day on one month", on_month), flush=True)
    print(line("a night without deliveries", middle([full.run(day, day) for day in EMPTY[: asked.times]])), flush=True)
    print(line("the last 30 days loaded again, against the full build", full.run(*AGAIN), middle(ours)), flush=True)

    print("\n".join(steps.tables(full_steps, day_steps, figures)))
    print("\n| figure | Fidelis | limit.py | equal |\n|---|---|---|---|")
    compared = same_results.compare(
        work / "homes" / "full" / "releases" / "current" / "datamart.duckdb", work / "limit.duckdb"
    )
    for name, mine, theirs in compared:
        print(f"| {name} | {mine} | {theirs} | {'yes' if mine == theirs else 'NO'} |")
    if any(mine != theirs for _, mine, theirs in compared):
        raise SystemExit("Fidelis and the yardstick differ.")


if __name__ == "__main__":
    main()
