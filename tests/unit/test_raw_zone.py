"""The raw zone's index: days become visible at once, a failed day keeps its last good files, leftovers go."""

import json
import resource
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration import raw_zone
from orchestration.raw_zone import Partition
from orchestration.settings import Settings
from tests.support.world import DAY, NEXT_DAY, sales_contract, settings_in


def place(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.glob("delivery_date=*/*"))


def file(day: date, name: str) -> str:
    return f"delivery_date={day}/{name}.parquet"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def committed(settings: Settings, *partitions: Partition) -> Path:
    folder = settings.raw_dir / "sales"
    place(folder, *(name for p in partitions for name in p.data))
    place(settings.quarantine_dir / "sales", *(name for p in partitions for name in p.quarantine))
    raw_zone.commit(settings, "sales", {p.day: p for p in partitions})
    return folder


def test_a_table_never_loaded_has_no_partition(settings: Settings) -> None:
    assert raw_zone.partitions(settings, "sales") == {}


def test_a_partition_is_read_back_as_it_was_committed(settings: Settings) -> None:
    partition = Partition(
        DAY,
        10,
        7,
        1,
        2,
        0,
        {"amount_type": 1},
        {"amount": {"nulls": 0}},
        ("till",),
        "f1",
        "1.0.0",
        None,
        (file(DAY, "a"),),
    )
    committed(settings, partition)
    assert raw_zone.partitions(settings, "sales") == {DAY: partition}


def test_days_are_in_order_whatever_the_order_of_the_commits(settings: Settings) -> None:
    committed(settings, Partition(NEXT_DAY))
    committed(settings, Partition(DAY))
    assert list(raw_zone.partitions(settings, "sales")) == [DAY, NEXT_DAY]


def test_a_day_loaded_again_drops_its_former_files_and_leaves_the_other_days(settings: Settings) -> None:
    folder = committed(
        settings, Partition(DAY, data=(file(DAY, "a"),)), Partition(NEXT_DAY, data=(file(NEXT_DAY, "a"),))
    )
    committed(settings, Partition(DAY, data=(file(DAY, "b"),)))
    assert names(folder) == [file(DAY, "b"), file(NEXT_DAY, "a")]


def test_a_failed_day_keeps_the_files_of_its_last_good_delivery(settings: Settings) -> None:
    folder = committed(settings, Partition(DAY, data=(file(DAY, "a"),)))
    for reason in ("no gzip", "no delivery"):
        committed(settings, Partition(DAY, failure=reason))
        assert names(folder) == [file(DAY, "a")]
    kept = raw_zone.partitions(settings, "sales")[DAY]
    assert (kept.failure, kept.loaded, kept.data) == ("no delivery", False, (file(DAY, "a"),))


def test_a_failed_day_without_a_good_delivery_before_it_has_no_file(settings: Settings) -> None:
    folder = committed(settings, Partition(DAY, failure="no gzip"))
    assert names(folder) == []
    assert not raw_zone.partitions(settings, "sales")[DAY].data


def test_files_that_the_index_does_not_name_are_removed_with_their_empty_folders(settings: Settings) -> None:
    folder = settings.raw_dir / "sales"
    place(folder, file(NEXT_DAY, "killed"), file(DAY, "killed"))
    place(settings.quarantine_dir / "sales", file(DAY, "old"))
    committed(settings, Partition(DAY, data=(file(DAY, "a"),), quarantine=(file(DAY, "q"),)))
    assert names(folder) == [file(DAY, "a")]
    assert names(settings.quarantine_dir / "sales") == [file(DAY, "q")]
    assert not (folder / f"delivery_date={NEXT_DAY}").exists()


def test_a_commit_replaces_the_index_by_a_new_file(settings: Settings) -> None:
    folder = committed(settings, Partition(DAY))
    index = folder / "_partitions.json"
    with open(index) as reader:
        committed(settings, Partition(NEXT_DAY))
        assert list(json.load(reader)) == [DAY.isoformat()]
    assert list(json.loads(index.read_text())) == [DAY.isoformat(), NEXT_DAY.isoformat()]
    assert list(folder.glob("*.tmp")) == []


def test_a_write_that_fails_leaves_the_old_index(settings: Settings) -> None:
    folder = committed(settings, Partition(DAY))
    (folder / "_partitions.json.tmp").mkdir()  # nothing can be written aside
    with pytest.raises(IsADirectoryError):
        committed(settings, Partition(NEXT_DAY))
    assert list(raw_zone.partitions(settings, "sales")) == [DAY]


def test_a_write_that_finds_no_room_leaves_nothing_beside_the_old_text(tmp_path: Path) -> None:
    small = tmp_path / "small.json"
    raw_zone.write_durably(small, "old")
    raw_zone.write_durably(small, "newer")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            raw_zone.write_durably(small, "newest")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (small.read_text(), list(tmp_path.iterdir())) == ("newer", [small])


def test_sweeping_removes_scratch_folders_and_half_written_indexes_only(settings: Settings) -> None:
    folder = committed(settings, Partition(DAY, data=(file(DAY, "a"),)))
    place(raw_zone.scratch_dir(settings) / "sales-1", "staged.parquet")
    place(folder, "_partitions.json.tmp")
    raw_zone.sweep(settings)
    assert not raw_zone.scratch_dir(settings).exists()
    assert list(folder.glob("*.tmp")) == []
    assert names(folder) == [file(DAY, "a")]


def test_adopted_files_take_the_name_of_the_run_and_stand_by_day(settings: Settings, tmp_path: Path) -> None:
    place(tmp_path / "scratch", file(DAY, "0"), file(DAY, "1"), file(NEXT_DAY, "0"))
    moved = raw_zone.adopt(tmp_path / "scratch", settings.raw_dir / "sales", "run")
    assert moved == {DAY: (file(DAY, "run-0"), file(DAY, "run-1")), NEXT_DAY: (file(NEXT_DAY, "run-2"),)}
    assert len(names(settings.raw_dir / "sales")) == 3


def test_loaded_days_are_those_with_an_accepted_delivery(settings: Settings, tmp_path: Path) -> None:
    contract = sales_contract(tmp_path)
    third = NEXT_DAY.replace(day=3)
    committed(
        settings, Partition(DAY, fingerprint="f"), Partition(NEXT_DAY), Partition(third, failure="x", fingerprint="f")
    )
    assert list(raw_zone.loaded_days(settings, {"sales": contract})) == [DAY]


def test_a_table_without_rows_has_the_columns_and_types_of_its_contract(settings: Settings, tmp_path: Path) -> None:
    contract = sales_contract(tmp_path)
    described = duckdb.execute(f"describe {raw_zone.relation(settings, contract)}").fetchall()
    assert [(row[0], row[1]) for row in described] == [
        ("sale_id", "VARCHAR"),
        ("amount", "DECIMAL(18,2)"),
        ("quantity", "BIGINT"),
        ("sold_on", "DATE"),
        ("shop", "VARCHAR"),
        ("note", "VARCHAR"),
        ("_delivery_date", "DATE"),
        ("_file", "VARCHAR"),
    ]
