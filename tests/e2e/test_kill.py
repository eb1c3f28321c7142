"""kill -9 of the whole process group at some moment of a run: the release stays whole, the next run heals."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, Retailer

pytestmark = pytest.mark.slow

#: How many kills; more by hand: FIDELIS_KILLS=50 pytest -m slow tests/e2e/test_kill.py
KILLS = int(os.environ.get("FIDELIS_KILLS", "6"))
DAYS = ("--from", "2023-01-06", "--to", "2023-01-10")


@pytest.fixture(scope="module")
def five_days(retailer: Retailer) -> Retailer:
    """Five days are published."""
    retailer.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-05")
    return retailer


@pytest.fixture(scope="module")
def undisturbed(
    five_days: Retailer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, tuple[int, str]], float]:
    """The mart of ten days, and the seconds that the second five took."""
    other = another(five_days, tmp_path_factory.mktemp("undisturbed") / "home")
    began = time.monotonic()
    other.fidelis("run", *DAYS)
    return other.content(), time.monotonic() - began


def another(retailer: Retailer, home: Path) -> Retailer:
    shutil.copytree(retailer.home, home, symlinks=True, ignore=shutil.ignore_patterns("landing"))
    return Retailer(home, {"FIDELIS_LANDING": str(retailer.landing)})


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_killed_run_loses_nothing_and_the_next_one_ends_it(
    five_days: Retailer,
    undisturbed: tuple[dict[str, tuple[int, str]], float],
    attempt: int,
    tmp_path: Path,
) -> None:
    expected, seconds = undisturbed
    moment = seconds * (attempt + random.Random(attempt).random()) / KILLS
    victim = another(five_days, tmp_path / "home")
    program = [str(Path(sys.executable).with_name("fidelis")), "run", *DAYS]
    process = subprocess.Popen(
        program,
        env=victim.environment,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    assert victim.content() in (five_days.content(), expected), f"killed after {moment:.1f} s"
    assert victim.query("select count(*) from mart.fct_orders")[0][0] in (
        five_days.content()["fct_orders"][0],
        expected["fct_orders"][0],
    )
    victim.fidelis("run", *DAYS)
    assert victim.content() == expected, f"killed after {moment:.1f} s"
    assert not list(victim.home.glob("**/*.tmp"))
