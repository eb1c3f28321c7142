"""No room for files: an error that is known for what it is, no delivery refused for it, no half release left."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration import disk, raw_zone
from orchestration.extraction import extract
from orchestration.releases import current, publish
from tests.support.mart import build_mart
from tests.support.world import DAY, NEXT_DAY, csv_text, deliver, load, raw_rows, sale, sales_contract, settings_in


@contextmanager
def no_room() -> Iterator[None]:
    """Within, no file of this process can grow, as for a user with ``ulimit -f 0``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_known_by_what_python_duckdb_and_sqlite_say_of_it() -> None:
    with pytest.raises(OSError, match="No space") as of_python, open("/dev/full", "wb", buffering=0) as stream:
        stream.write(b"x")
    with pytest.raises(duckdb.Error) as of_duckdb, duckdb.connect() as con:
        con.execute("copy (select range from range(100000)) to '/dev/full' (format csv)")
    con_of_sqlite = sqlite3.connect(":memory:")
    con_of_sqlite.execute("pragma max_page_count = 1")
    with pytest.raises(sqlite3.Error) as of_sqlite:
        con_of_sqlite.execute("create table t (a)")
    con_of_sqlite.close()
    for caught in (of_python, of_duckdb, of_sqlite):
        assert disk.filled_it(caught.value), caught.value
        assert disk.filled_it(_wrapped(caught.value))
    assert not disk.filled_it(ValueError("order 5 has no line"))


def _wrapped(error: BaseException) -> BaseException:
    try:
        raise RuntimeError("the step failed") from error
    except RuntimeError as wrapped:
        return wrapped


def test_sqlites_disk_error_is_a_full_disk_only_where_there_is_no_room(tmp_path: Path) -> None:
    unclear = sqlite3.OperationalError("disk I/O error")
    assert not disk.filled_it(unclear, tmp_path)
    with no_room():
        assert disk.filled_it(unclear, tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_delivery_is_refused_for_a_full_disk_and_all_is_loaded_when_there_is_room(
    tmp_path: Path, encoding: str
) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, server={"encoding": encoding})
    deliver(settings, csv_text([sale(1)]).encode(encoding))
    load(settings, contract)
    before = raw_zone.partitions(settings, contract.table)
    deliver(settings, csv_text([sale(2)]).encode(encoding), "sales_2024-03-02.csv")
    with no_room(), pytest.raises((OSError, duckdb.Error), match="too large") as caught:
        extract(settings, contract, [DAY, NEXT_DAY])
    assert disk.filled_it(caught.value), caught.value
    assert raw_zone.partitions(settings, contract.table) == before
    assert not list(raw_zone.scratch_dir(settings).iterdir())
    load(settings, contract, DAY, NEXT_DAY)
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("S2",)]


def test_a_release_without_room_leaves_the_old_one_and_nothing_of_itself(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    build_mart(settings, 1)
    publish(settings, date(2024, 3, 1), {}, "")
    build_mart(settings, 2)
    with no_room(), pytest.raises(OSError, match="too large") as caught:
        publish(settings, date(2024, 3, 2), {}, "")
    assert disk.filled_it(caught.value)
    shown = current(settings)
    assert shown is not None
    assert sorted(p.name for p in settings.releases_dir.iterdir()) == [shown.release_id, "current"]
    assert publish(settings, date(2024, 3, 2), {}, "").release_id == "20240302-0002"
