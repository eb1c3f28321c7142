"""Runs that something happens to: a retailer with three days published, and three more to come."""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestration.warehouse import checksum, connect_reader
from tests.e2e.conftest import PROJECT, Retailer
from tests.support.forks import Forks, Run, forks

NEW_DAYS = ("--from", "2023-01-04", "--to", "2023-01-06")
LAST_DAY = ("--date", "2023-01-06")
#: The step, or the beginning of its name, with which a part of a run begins.
FIRST_STEP = {"raw": "raw__", "dbt": "dbt_models", "release": "release__datamart"}


@dataclass(frozen=True)
class Victim:
    """A retailer with three days published, the process that its runs are forked off, and the undisturbed outcome."""

    retailer: Retailer
    kept: Path
    forks: Forks
    before: dict[str, tuple[int, str]]
    after: dict[str, tuple[int, str]]
    seconds: dict[str, float]

    def restore(self) -> None:
        """The home as it was with three days published."""
        for path in self.kept.iterdir():
            shutil.rmtree(self.retailer.home / path.name, ignore_errors=True)
        shutil.copytree(self.kept, self.retailer.home, symlinks=True, dirs_exist_ok=True)


@contextmanager
def victim_in(home: Path, aside: Path) -> Iterator[Victim]:
    """A victim whose home is an empty folder; ``aside`` takes copies and outputs."""
    kept, outputs = aside / "kept", aside / "outputs"
    outputs.mkdir(parents=True)
    retailer = Retailer(home, {"FIDELIS_LANDING": str(aside / "landing")})
    days = ("--start", "2023-01-01", "--end", "2023-01-06", "--seed", "11", "--dirt", "0.01")
    retailer.fidelis("sample", "--customers", "40", *days, "--out", str(retailer.landing))
    retailer.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-03")
    shutil.copytree(home, kept, symlinks=True)
    before = retailer.content()
    with forks(retailer.environment, PROJECT, outputs) as server:
        began = time.time()
        undisturbed = server.start("run", *NEW_DAYS)
        assert undisturbed.wait() == 0, undisturbed.said
        starts = {step: at for kind, step, at in steps(retailer) if kind == "STEP_START"}
        ends = {step: at for kind, step, at in steps(retailer) if kind == "STEP_SUCCESS"}
        first, last_raw = min(starts.values()), max(at for step, at in ends.items() if step.startswith("raw__"))
        seconds = {"start": first - began, "raw": last_raw - first}
        seconds |= {part: ends[FIRST_STEP[part]] - starts[FIRST_STEP[part]] for part in ("dbt", "release")}
        assert retailer.content() != before
        yield Victim(retailer, kept, server, before, retailer.content(), seconds)


def steps(retailer: Retailer) -> list[tuple[str, str, float]]:
    """Starts and ends of the steps of the run that entered the ledger last: kind, step, when."""
    database = retailer.home / "dagster" / "history" / "runs" / f"{ledger(retailer)[-1]['run_id']}.db"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=30)) as log:
        rows = log.execute(
            "select dagster_event_type, step_key, timestamp from event_logs "
            "where dagster_event_type in ('STEP_START', 'STEP_SUCCESS') order by id"
        ).fetchall()
    return [(kind, step, datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) for kind, step, at in rows]


def ledger(retailer: Retailer) -> list[dict[str, str]]:
    """The runs that have begun, as the file says."""
    lines = [json.loads(line) for line in (retailer.home / "ledger.jsonl").read_text().splitlines()]
    return [line for line in lines if "began" in line]


def start_and_wait(victim: Victim, part: str) -> Run:
    """Start a run of the new days, and come back when it has begun a part of its work."""
    entries = len(ledger(victim.retailer))
    run = victim.forks.start("run", *NEW_DAYS)

    def begun() -> bool:
        return len(ledger(victim.retailer)) > entries and any(
            kind == "STEP_START" and step.startswith(FIRST_STEP[part]) for kind, step, _ in steps(victim.retailer)
        )

    if part != "start":
        assert wait_for(begun, run), f"the run ended before its {part}:\n{run.said}"
    return run


def wait_for(condition: Callable[[], bool], run: Run) -> bool:
    """Wait until something holds of a run; False where it ended before."""
    while not condition():
        if run.ended(0.01):
            return False
    return True


def assert_whole(retailer: Retailer, release: Path) -> None:
    """Every table of a release has the rows and the checksum that its manifest gives."""
    tables = json.loads((release / "manifest.json").read_text())["tables"]
    with connect_reader(release / "datamart.duckdb") as con:
        names = [name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()]
        found = {n: checksum(con, f'mart."{n}"') for n in names}
    assert found == {name: figures["checksum"] for name, figures in tables.items()}
    with connect_reader(release / "restricted" / "personal.duckdb") as con:
        for (name,) in con.execute("select table_name from duckdb_tables()").fetchall():
            con.execute(f'from restricted."{name}"').fetchall()


def assert_heals(victim: Victim) -> None:
    """The next run, without being told which days, ends what was begun; nothing is left of the disturbed ones."""
    retailer = victim.retailer
    run = victim.forks.start("run")
    assert run.wait() == 0, run.said
    assert retailer.content() == victim.after
    for release in (retailer.home / "releases").glob("20*"):
        assert_whole(retailer, release)
    leftovers = [str(p) for pattern in ("*.tmp", "*.part", "*.wal") for p in retailer.home.glob(f"**/{pattern}")]
    assert [p for p in leftovers if "/dagster/" not in p] == [], f"{leftovers}\n{run.said}"
    scratch = retailer.home / "scratch"
    assert not scratch.exists() or not list(scratch.iterdir())
    unnamed = set(retailer.home.glob("raw/*/delivery_date=*/*")) - {
        index.parent / name
        for index in retailer.home.glob("raw/*/_partitions.json")
        for day in json.loads(index.read_text()).values()
        for name in day["data"]
    }
    assert not unnamed
