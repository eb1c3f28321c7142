"""kill -9 of the whole process group at random moments of runs: the release stays whole, the next run heals by itself."""

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator

import duckdb
import pytest

from tests.e2e.conftest import Retailer
from tests.e2e.victim import (
    FIRST_STEP,
    LAST_DAY,
    Victim,
    assert_heals,
    assert_whole,
    ledger,
    start_and_wait,
    steps,
    victim_in,
)

pytestmark = pytest.mark.slow

#: How many kills; fewer by hand: FIDELIS_KILLS=8 pytest -m slow -s tests/e2e/test_kill.py
KILLS = int(os.environ.get("FIDELIS_KILLS", "50"))
#: How often the run after a kill is killed as well, beyond those: what a kill leaves, the next victim finds.
AGAIN = 0.2
#: Of ten kills, how many are aimed at each part; the moment within it is drawn.
AIMS = ("raw",) * 5 + ("dbt",) * 2 + ("release",) * 2 + ("start",)

QUICKER = "none: it was quicker"


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim_in(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("aside")) as made:
        yield made


def phase(retailer: Retailer, entries: int) -> str:
    """What the run that was killed was doing; ``entries`` were in the ledger before it."""
    if len(ledger(retailer)) == entries:
        return "start"
    done = steps(retailer)
    if not done:
        return "start"
    kind, step, at = done[-1]
    if kind == "STEP_SUCCESS":
        return "end" if step == FIRST_STEP["release"] else "between"
    if not step.startswith("raw__"):
        return {FIRST_STEP["dbt"]: "dbt", FIRST_STEP["release"]: "release"}.get(step, step)
    index = retailer.home / "raw" / step.removeprefix("raw__") / "_partitions.json"
    return "gate" if index.exists() and index.stat().st_mtime > at else "extraction"


def finished_builds(retailer: Retailer) -> int:
    """1 where the build database knows that its last build was finished, 0 where a build began and did not end."""
    return int(built(retailer, "select count(*) from control.last_build"))


def last_build_was_whole(retailer: Retailer) -> bool:
    return bool(built(retailer, "select is_whole from control.build_plan"))


def built(retailer: Retailer, sql: str) -> object:
    with duckdb.connect(str(retailer.home / "warehouse" / "warehouse.duckdb"), read_only=True) as con:
        row = con.execute(sql).fetchone()
    assert row is not None
    return row[0]


def kill(victim: Victim, aim: str, moment: float) -> str:
    """Kill a run at a moment of one of its parts, see that the release is whole, and return what the run was doing."""
    retailer = victim.retailer
    entries = len(ledger(retailer))
    run = start_and_wait(victim, aim)
    run.ended(moment * victim.seconds[aim])
    hit = phase(retailer, entries) if run.kill() else QUICKER
    sys.stdout.write(f"killed at {moment:.2f} of {aim}: {hit}\n")
    assert_whole(retailer, retailer.home / "releases" / "current")
    assert retailer.content() in (victim.before, victim.after), hit
    return hit


def test_whatever_moment_runs_are_killed_at_the_release_is_whole_and_the_next_run_ends_it(victim: Victim) -> None:
    retailer = victim.retailer
    drawn = random.Random(2023)
    aims = [AIMS[number % len(AIMS)] for number in range(KILLS)]
    drawn.shuffle(aims)
    hits: Counter[str] = Counter()
    whole = 0
    while aims:
        victim.restore()
        hit = kill(victim, aims[-1], drawn.random())
        if hit == QUICKER:
            continue
        hits[hit] += 1
        aims.pop()
        while drawn.random() < AGAIN:
            hit = kill(victim, drawn.choice(AIMS), drawn.random())
            hits[hit] += 1
        interrupted = not finished_builds(retailer)
        assert_heals(victim)
        whole += interrupted
        # a run that was quicker than its kill has built what the next one finds done
        assert hit == QUICKER or last_build_was_whole(retailer) == interrupted
    again = victim.forks.start("run", *LAST_DAY)
    assert again.wait() == 0, again.said
    assert not last_build_was_whole(retailer)
    assert retailer.content() == victim.after
    sys.stdout.write(
        f"{hits.total() - hits[QUICKER]} kills: {dict(hits)}; {whole} of the runs after them built the mart from nothing\n"
    )
    if KILLS >= 20:
        assert min(hits[p] for p in ("extraction", "gate", "dbt", "release")) >= 2, hits
        assert whole
