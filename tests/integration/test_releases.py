"""Releases: audited before anyone sees them, switched by one link, kept, pruned and rolled back to."""

import json
import os
import shutil
import stat
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.releases import ReleaseError, catalogue, current, list_releases, prune, publish, records, roll_back
from orchestration.settings import Settings
from orchestration.warehouse import DATAMART, RESTRICTED, connect_reader
from tests.support.mart import build_mart, build_restricted
from tests.support.world import settings_in

AS_OF = date(2024, 3, 1)
INPUTS = "state of the raw zone"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, releases_kept=3)


def publish_version(settings: Settings, version: int, *statements: str) -> str:
    build_mart(settings, version, *statements)
    return publish(settings, AS_OF, {"passed": version}, INPUTS).release_id


def seen(settings: Settings) -> int:
    """The version that a BI tool sees."""
    with connect_reader(settings.releases_dir / "current" / DATAMART) as con:
        (version,) = con.execute("select distinct version from mart.fct_orders").fetchall()
    return int(version[0])


def test_before_the_first_release_there_is_none(settings: Settings) -> None:
    assert current(settings) is None
    assert list_releases(settings) == []


def test_a_release_is_what_readers_see(settings: Settings) -> None:
    assert publish_version(settings, 1) == "20240301-0001"
    assert seen(settings) == 1
    assert publish_version(settings, 2) == "20240301-0002"
    assert seen(settings) == 2
    shown = current(settings)
    assert shown is not None
    assert shown.release_id == "20240301-0002"
    assert shown.datamart.resolve() == (settings.releases_dir / "current" / DATAMART).resolve()


def test_the_manifest_says_what_was_published_from_what_and_with_which_checks(settings: Settings) -> None:
    build_mart(settings)
    publish(settings, AS_OF, {"passed": 7, "warned": 1}, INPUTS)
    manifest = json.loads((settings.releases_dir / "current" / "manifest.json").read_text())
    assert {
        k: manifest[k]
        for k in ("release_id", "as_of_date", "business_timezone", "reporting_currency", "inputs", "checks")
    } == {
        "release_id": "20240301-0001",
        "as_of_date": "2024-03-01",
        "business_timezone": "Europe/Paris",
        "reporting_currency": "EUR",
        "inputs": INPUTS,
        "checks": {"passed": 7, "warned": 1},
    }
    assert manifest["code_version"].startswith("0.1.0+")
    tables = manifest["tables"]
    assert set(tables) == {"fct_orders", "dim_customer"}
    # 0.25 + 1.25 + 2.25
    assert (tables["fct_orders"]["rows"], tables["fct_orders"]["net_amount"]) == (3, "3.75")
    assert tables["dim_customer"]["rows"] == 3


def test_the_checksum_depends_on_the_content_and_not_on_the_order_of_rows(settings: Settings) -> None:
    def checksum(*statements: str) -> str:
        publish_version(settings, 1, *statements)
        shown = current(settings)
        assert shown is not None
        return str(shown.tables["fct_orders"]["checksum"])

    first = checksum()
    assert checksum("create or replace table mart.fct_orders as from mart.fct_orders order by order_id desc") == first
    assert checksum("update mart.fct_orders set version = 9 where order_id = 2") != first
    # the same rows and sums: only the checksum tells
    assert checksum("update mart.fct_orders set order_id = 1 - order_id where order_id < 2") != first


def test_comments_travel_with_the_tables(settings: Settings) -> None:
    publish_version(settings, 1)
    with connect_reader(settings.releases_dir / "current" / DATAMART) as con:
        assert con.execute("select comment from duckdb_tables() where table_name = 'fct_orders'").fetchall() == [
            ("Orders.",)
        ]
        comment = con.execute("select comment from duckdb_columns() where column_name = 'net_amount'").fetchall()
    assert comment == [("Net of discounts and returns.",)]


def test_a_published_file_is_read_only_and_readers_can_touch_nothing_else(settings: Settings) -> None:
    publish_version(settings, 1)
    file = settings.releases_dir / "current" / DATAMART
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    with connect_reader(file) as con:
        for statement in (
            "create table mart.x (a int)",
            f"copy mart.fct_orders to '{settings.home}/leak.csv'",
            "select * from read_text('/etc/hostname')",
            "set enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                con.execute(statement)


def test_what_names_persons_is_published_apart_for_its_owner_alone(settings: Settings) -> None:
    build_mart(settings)
    build_restricted(settings)
    release = publish(settings, AS_OF, {}, INPUTS)
    private = release.folder / "restricted"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE((private / RESTRICTED).stat().st_mode) == 0o400
    assert set(release.tables) == {"fct_orders", "dim_customer"}


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("create table main.scratch (a int)", "tables outside schema mart: main.scratch"),
        ("create schema raw; create table raw.customers (a int)", "tables outside schema mart: raw.customers"),
        ("create schema raw; create view raw.v as select 1 as a", "tables outside schema mart: raw.v"),
        ("alter table mart.dim_customer add column email varchar", "direct identifiers .*: dim_customer.email"),
        (
            'alter table mart.dim_customer add column "Last_Name" varchar',
            "direct identifiers .*: dim_customer.Last_Name",
        ),
        ("create view mart.v as select 1 as phone", "direct identifiers .*: v.phone"),
        ("drop table mart.fct_orders; drop table mart.dim_customer", "holds no table"),
    ],
)
def test_a_mart_that_holds_what_it_must_not_is_refused(settings: Settings, statement: str, sentence: str) -> None:
    publish_version(settings, 1)
    build_mart(settings, 2, *statement.split("; "))
    with pytest.raises(ReleaseError, match=sentence):
        publish(settings, AS_OF, {}, INPUTS)
    assert seen(settings) == 1
    assert len(list_releases(settings)) == 1


def test_nothing_built_and_nothing_closed_is_nothing_to_publish(settings: Settings) -> None:
    with pytest.raises(ReleaseError, match=r"there is no datamart\.duckdb to publish"):
        publish(settings, AS_OF, {}, INPUTS)


def another_copy(change: str) -> Any:
    """A copy that goes wrong on its way: one row more, one cent less, or cut off."""

    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        if change == "cut off":
            os.truncate(target, target.stat().st_size // 2)
            return
        with duckdb.connect(str(target)) as con:
            con.execute(change)

    return copy


@pytest.mark.parametrize(
    "change",
    [
        "insert into mart.dim_customer values ('C9', 2)",
        "update mart.fct_orders set net_amount = 0.24 where order_id = 0",
        "drop table mart.dim_customer",
        "cut off",
    ],
)
def test_a_copy_that_differs_is_not_published(settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    publish_version(settings, 1)
    build_mart(settings, 2)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", another_copy(change))
        with pytest.raises(ReleaseError, match=r"the copy of datamart\.duckdb differs from what was built"):
            publish(settings, AS_OF, {}, INPUTS)
    assert seen(settings) == 1
    assert publish(settings, AS_OF, {}, INPUTS).release_id == "20240301-0002"
    assert seen(settings) == 2
    assert list(settings.releases_dir.glob("*.tmp")) == []


def test_a_rolled_back_release_is_current_and_the_next_one_takes_a_new_number(settings: Settings) -> None:
    first, second = publish_version(settings, 1), publish_version(settings, 2)
    assert roll_back(settings, first).release_id == first
    assert seen(settings) == 1
    assert roll_back(settings, second).release_id == second
    assert seen(settings) == 2
    roll_back(settings, first)
    assert publish_version(settings, 3) == "20240301-0003"
    assert seen(settings) == 3


def test_rolling_back_to_a_release_that_is_not_kept_says_which_are(settings: Settings) -> None:
    publish_version(settings, 1)
    with pytest.raises(ValueError, match="there is no release 20200101-0001; kept are: 20240301-0001"):
        roll_back(settings, "20200101-0001")
    assert seen(settings) == 1


def test_the_last_releases_are_kept_the_newest_first(settings: Settings) -> None:
    for version in range(1, 7):
        publish_version(settings, version)
    assert [r.release_id for r in list_releases(settings)] == ["20240301-0006", "20240301-0005", "20240301-0004"]
    assert sorted(p.name for p in settings.releases_dir.iterdir()) == [
        *("20240301-0004", "20240301-0005", "20240301-0006", "current", "records")
    ]


def test_the_current_release_is_never_pruned(settings: Settings) -> None:
    first = publish_version(settings, 1)
    for version in (2, 3):
        publish_version(settings, version)
    roll_back(settings, first)
    fewer = settings.model_copy(update={"releases_kept": 2})
    assert prune(fewer) == []
    assert seen(settings) == 1
    assert publish_version(fewer, 4) == "20240301-0004"
    assert [r.release_id for r in list_releases(settings)] == ["20240301-0004", "20240301-0003"]


def test_what_a_killed_publish_left_is_swept_by_the_next(settings: Settings) -> None:
    publish_version(settings, 1)
    killed = settings.releases_dir / "20240301-0002.tmp"
    killed.mkdir()
    (killed / "datamart.duckdb.tmp").write_bytes(b"half")
    (killed / "manifest.json").write_text("{half")
    (settings.releases_dir / "current.tmp").symlink_to("nowhere")
    assert [r.release_id for r in list_releases(settings)] == ["20240301-0001"]
    assert publish_version(settings, 2) == "20240301-0002"
    assert sorted(p.name for p in settings.releases_dir.iterdir()) == ["20240301-0001", "20240301-0002", "current"]


def test_a_release_that_was_renamed_but_not_switched_to_is_kept_and_not_current(settings: Settings) -> None:
    first, second = publish_version(settings, 1), publish_version(settings, 2)
    catalogue.switch(settings, first)  # as if the process had died between the two renames
    assert seen(settings) == 1
    assert publish_version(settings, 3) == "20240301-0003"
    assert {r.release_id for r in list_releases(settings)} == {first, second, "20240301-0003"}


def test_of_removed_releases_the_last_of_each_month_is_remembered(settings: Settings) -> None:
    days = [
        date(2024, 1, 30),
        date(2024, 1, 31),
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
        date(2024, 3, 2),
    ]
    made = []
    for number, day in enumerate(days):
        build_mart(settings, number)
        made.append(publish(settings, day, {"passed": 1}, INPUTS))
    assert [r.release_id for r in list_releases(settings)] == [r.release_id for r in made[:2:-1]]
    remembered = records(settings)
    assert [r.release_id for r in remembered] == [made[2].release_id, made[1].release_id]
    assert remembered[1].tables == made[1].tables
    assert not list((settings.releases_dir / "records").glob("*/*.duckdb"))
