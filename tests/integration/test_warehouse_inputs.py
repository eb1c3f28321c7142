"""What dbt is shown: every table of the mart, typed, and the one row of parameters of the run."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import warehouse
from orchestration.build_plan import BuildPlan
from orchestration.contracts import Contract, default_contracts, load_contracts
from orchestration.extraction import extract
from orchestration.settings import Settings
from tests.support.world import DAY, NEXT_DAY, contract_document, deliver, properties, settings_in, write_contract


@pytest.fixture
def world(tmp_path: Path) -> tuple[Settings, dict[str, Contract]]:
    """A retailer with channels only, in its own words."""
    columns = [
        {"name": "channel_id", "physicalName": "CODE", "primaryKey": True},
        {"name": "channel_name", "physicalName": "LABEL"},
        {"name": "channel_type", "customProperties": properties(expression="'store'")},
        {"name": "is_direct", "customProperties": properties(expression="CODE <> 'M'")},
    ]
    document = contract_document(
        "channels", columns, path="shops_{date}.csv", deliveryMode="full", pricesIncludeTax=True
    )
    contracts = load_contracts(write_contract(tmp_path / "contracts", document).parent)
    return settings_in(tmp_path, timezone="America/New_York", currency="USD"), contracts


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse_dir / "warehouse.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def test_every_table_of_the_mart_is_there_with_its_columns_and_types(
    world: tuple[Settings, dict[str, Contract]],
) -> None:
    settings, contracts = world
    deliver(settings, "CODE,LABEL\nN,North\nM,Market\n", "shops_2024-03-01.csv")
    extract(settings, contracts["channels"], [DAY])
    warehouse.prepare(settings, contracts)
    for table, contract in default_contracts().items():
        described = [(row[0], row[1]) for row in query(settings, f"describe raw.{table}")]
        columns = [(c.name, c.sql_type.upper()) for c in contract.columns]
        assert described == [*columns, ("_delivery_date", "DATE"), ("_file", "VARCHAR")]
        assert query(settings, f"select count(*) from raw.{table}") == [(2 if table == "channels" else 0,)]
    assert query(settings, "select channel_id, channel_name, channel_type, is_direct from raw.channels order by 1") == [
        ("M", "Market", "store", False),
        ("N", "North", "store", True),
    ]


def test_the_parameters_are_the_settings_and_the_last_delivered_day(
    world: tuple[Settings, dict[str, Contract]],
) -> None:
    settings, contracts = world
    assert warehouse.prepare(settings, contracts).as_of_date is None
    assert query(settings, "from control.run_parameters") == [(settings.first_day, "America/New_York", "USD")]
    for day in (NEXT_DAY, DAY):
        deliver(settings, "CODE,LABEL\nN,North\n", f"shops_{day}.csv")
    extract(settings, contracts["channels"], [NEXT_DAY])
    extract(settings, contracts["channels"], [DAY, date(2024, 3, 9)])
    assert warehouse.prepare(settings, contracts).as_of_date == NEXT_DAY
    assert query(settings, "select as_of_date from control.run_parameters") == [(NEXT_DAY,)]


def test_the_build_database_stays_in_the_newest_format_whoever_opens_it(
    world: tuple[Settings, dict[str, Contract]],
) -> None:
    settings, contracts = world
    for _ in range(2):
        warehouse.prepare(settings, contracts)
    tags = query(settings, "select tags['storage_version'] from duckdb_databases() where path like '%warehouse.duckdb'")
    assert tags == [("v1.5.0+",)]


def test_dbt_is_told_which_tables_the_retailer_has(world: tuple[Settings, dict[str, Contract]]) -> None:
    settings, contracts = world
    warehouse.prepare(settings, contracts)
    assert query(
        settings, "select * exclude (is_changed, reads_older_deliveries) from control.source_tables where is_present"
    ) == [("channels", True, "full", True)]
    assert query(settings, "select count(*) from control.source_tables") == [(13,)]


def test_rows_sums_and_checksums_of_a_relation_are_exact(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(
            "create table t as select i as id, cast(0.1 as decimal(18,2)) as amount, i * 0.1::double as d from range(1000) r(i)"
        )
        first = warehouse.checksum(con, "t")
        assert warehouse.figures(con, "t") == {"rows": 1000, "amount": "100.00", "checksum": first}
        assert warehouse.checksum(con, "(from t order by id desc)") == first
        con.execute("update t set amount = amount + case id when 1 then 0.01 when 2 then -0.01 else 0 end")
        assert warehouse.figures(con, "t")["amount"] == "100.00"
        assert warehouse.checksum(con, "t") != first
        assert warehouse.figures(con, "(select * from t where false)") == {"rows": 0, "amount": "0", "checksum": "0"}


def _built(settings: Settings, contracts: dict[str, Contract]) -> BuildPlan:
    """A first build, of which the files of the marts are all that is looked at."""
    plan = warehouse.prepare(settings, contracts, code="one")
    for name in (warehouse.DATAMART, warehouse.RESTRICTED):
        with warehouse.connect_file(settings, settings.warehouse_dir / name, read_only=False):
            pass
    return plan


def test_a_build_is_finished_only_where_it_is_of_what_the_raw_zone_holds_now(
    world: tuple[Settings, dict[str, Contract]],
) -> None:
    settings, contracts = world
    deliver(settings, "CODE,LABEL\nN,North\n", f"shops_{DAY}.csv")
    extract(settings, contracts["channels"], [DAY])
    assert not warehouse.is_finished(settings, contracts)
    plan = _built(settings, contracts)
    assert plan.is_whole
    assert not warehouse.is_finished(settings, contracts)
    warehouse.finish(settings, plan)
    assert warehouse.is_finished(settings, contracts)
    deliver(settings, "CODE,LABEL\nN,North\nS,South\n", f"shops_{NEXT_DAY}.csv")
    extract(settings, contracts["channels"], [NEXT_DAY])
    assert not warehouse.is_finished(settings, contracts)
    plan = warehouse.prepare(settings, contracts, code="one")
    assert not plan.is_whole
    assert plan.changed["channels"] == {NEXT_DAY}
    assert plan.reads_older == set()
    # nothing counts as finished from here on: the next build is whole
    assert warehouse.prepare(settings, contracts, code="one").is_whole


@pytest.mark.parametrize("change", ["code", "timezone", "an older day", "a lost mart"])
def test_what_decides_beside_new_deliveries_makes_the_next_build_whole_or_read_older_days(
    world: tuple[Settings, dict[str, Contract]], change: str
) -> None:
    settings, contracts = world
    deliver(settings, "CODE,LABEL\nN,North\n", f"shops_{NEXT_DAY}.csv")
    extract(settings, contracts["channels"], [NEXT_DAY])
    warehouse.finish(settings, _built(settings, contracts))
    if change == "an older day":
        deliver(settings, "CODE,LABEL\nN,Nord\n", f"shops_{DAY}.csv")
        extract(settings, contracts["channels"], [DAY])
    elif change == "a lost mart":
        (settings.warehouse_dir / warehouse.DATAMART).unlink()
        assert not warehouse.is_finished(settings, contracts)
    elif change == "timezone":
        settings = settings.model_copy(update={"timezone": "Europe/Paris"})
        settings.__dict__.pop("zone", None)
    plan = warehouse.prepare(settings, contracts, code="two" if change == "code" else "one")
    assert plan.is_whole == (change != "an older day")
    assert (plan.reads_older == {"channels"}) == (change == "an older day")
