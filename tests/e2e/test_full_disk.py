"""The disk is full in the middle of a run: one clear sentence, the old release whole, the next run heals."""

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.disk import SENTENCE
from tests.e2e.victim import Victim, assert_heals, assert_whole, start_and_wait, victim_in
from tests.support.forks import Run

pytestmark = pytest.mark.slow

#: Room for the home, its releases and a build from nothing.
DISK_MEGABYTES = 400


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of its own for root; for others a folder, whose disk is then full for the run alone."""
    folder = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def victim(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    (disk / "home").mkdir()
    with victim_in(disk / "home", tmp_path_factory.mktemp("aside") / "victim") as made:
        yield made


def fill(disk: Path, run: Run) -> Path:
    """Leave no room: on root's disk for anybody, elsewhere for this run, whose files may not grow any more."""
    filler = disk / "filler"
    if os.geteuid() != 0:
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (0, 0))
        return filler
    with open(filler, "wb", buffering=0) as stream:
        for piece in (2**20, 2**12, 1):
            try:
                while True:
                    stream.write(b"\0" * piece)
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("part", ["raw", "dbt", "release"])
def test_a_full_disk_is_one_sentence_and_the_next_run_with_room_heals(victim: Victim, disk: Path, part: str) -> None:
    retailer = victim.retailer
    for _ in range(5):
        victim.restore()
        run = start_and_wait(victim, part)
        filler = fill(disk, run)
        code = run.wait()
        filler.unlink(missing_ok=True)
        content = retailer.content()
        assert_whole(retailer, retailer.home / "releases" / "current")
        assert_heals(victim)
        # filling takes its time: a run that had published before there was no room left is tried again
        if content != victim.after:
            assert content == victim.before
            assert code == 1, run.said
            assert SENTENCE in " ".join(run.said.split()), run.said
            assert "Traceback" not in run.said
            return
    pytest.fail(f"the disk was never full before the end of {part}")
