"""Tables of a real PostgreSQL: full, or changes by a watermark, and the same rows as from files."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.contracts import Contract, ContractError
from orchestration.extraction import extract, pending_days
from orchestration.settings import Settings
from orchestration.sources.deliveries import last_day_over
from orchestration.sources.files import SourceError
from tests.support.servers import postgresql, postgresql_server
from tests.support.world import (
    DAY,
    SALE_COLUMNS,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

COLUMNS = "id text, amount numeric, qty bigint, day date, shop text, note text, updated_at timestamptz"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    folder = tmp_path_factory.mktemp("postgresql")
    with postgresql(folder) as found:
        yield folder, found


@pytest.fixture
def database(server: tuple[Path, Any]) -> Any:
    """The server with an empty table of sales."""
    server[1].psql(f"drop table if exists sales cascade; create table sales ({COLUMNS})")
    return server[1]


def insert(database: Any, moment: str | None, **changes: Any) -> None:
    row = sale(1) | changes
    values = ", ".join("null" if v is None else f"$t${v}$t$" for v in [*row.values(), moment])
    database.psql(f"insert into sales ({', '.join(row)}, updated_at) values ({values})")


def reader(folder: Path, **changes: Any) -> Settings:
    return settings_in(folder, **{"pg_user": "reader", "pg_password": "geheim", **changes})


def table_contract(folder: Path, server: tuple[Path, Any], **options: Any) -> Contract:
    place = {**postgresql_server(server[0]), "path": None, "format": None, **options.pop("place", {})}
    return sales_contract(folder, server=place, **{"watermark": "updated_at", **options})


def test_the_delivery_of_a_day_is_the_rows_changed_on_that_business_day(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server)
    insert(database, "2024-02-29 22:59:59+00", id="before")
    insert(database, "2024-02-29 23:00:00+00", id="first")
    insert(database, "2024-03-01 22:59:59.999999+00", id="last")
    insert(database, "2024-03-01 23:00:00+00", id="after")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (2, 2)
    name = "shop-db:public.sales/2024-03-01"
    assert raw_rows(settings, contract, "sale_id, _file") == [("first", name), ("last", name)]


def test_values_arrive_as_they_are_stored(tmp_path: Path, server: tuple[Path, Any], database: Any) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server)
    insert(database, "2024-03-01 12:00+00", amount="12345678901234.56", qty="9007199254740993", note="a 'b' \n c")
    insert(database, "2024-03-01 12:00+00", id="S2", amount=None, note="")
    load(settings, contract)
    assert raw_rows(settings, contract, "amount, quantity, sold_on, note") == [
        (Decimal("12345678901234.56"), 9007199254740993, DAY, "a 'b' \n c"),
        (None, 1, DAY, None),
    ]


def test_a_window_of_days_is_one_snapshot_and_days_without_rows_are_empty_deliveries(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    settings = reader(tmp_path)
    contract = table_contract(tmp_path, server, deliveryRequired=True)
    days = [DAY + timedelta(days=n) for n in range(4)]
    insert(database, "2024-03-01 12:00+00")
    insert(database, "2024-03-03 12:00+00", id="S2")
    loaded = extract(settings, contract, days)
    assert [(p.rows_loaded, p.failure) for p in loaded.values()] == [(1, None), (0, None), (1, None), (0, None)]
    again = extract(settings, contract, days)
    assert [p.fingerprint for p in again.values()] == [p.fingerprint for p in loaded.values()]
    assert raw_rows(settings, contract, "_delivery_date, sale_id") == [(days[0], "S1"), (days[2], "S2")]


def test_days_between_two_that_are_asked_for_are_left_alone(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server)
    for n in (1, 2, 3):
        insert(database, f"2024-03-0{n} 12:00+00", id=f"S{n}")
    extract(settings, contract, [date(2024, 3, 1), date(2024, 3, 3)])
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("S3",)]


def test_every_day_that_is_over_is_pending_once(tmp_path: Path, server: tuple[Path, Any], database: Any) -> None:
    yesterday = last_day_over(settings_in(tmp_path))
    settings, contract = reader(tmp_path, first_day=yesterday - timedelta(days=2)), table_contract(tmp_path, server)
    pending = pending_days(settings, {"sales": contract})
    assert pending == [yesterday - timedelta(days=n) for n in (2, 1, 0)]
    extract(settings, contract, pending)
    assert pending_days(settings, {"sales": contract}) == []


def test_a_full_table_is_the_delivery_of_the_last_day_over(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    settings = reader(tmp_path)
    contract = table_contract(tmp_path, server, watermark=None, deliveryMode="full", deliveryRequired=True)
    yesterday = last_day_over(settings)
    insert(database, None)
    assert pending_days(settings, {"sales": contract}) == [yesterday]
    loaded = extract(settings, contract, [DAY, yesterday])
    assert [(p.rows_loaded, p.failure) for p in loaded.values()] == [(0, None), (1, None)]
    assert raw_rows(settings, contract, "_delivery_date, sale_id") == [(yesterday, "S1")]
    assert pending_days(settings, {"sales": contract}) == []


@pytest.mark.parametrize(
    ("kind", "moment", "zone"),
    [
        ("date", "2024-03-01", "UTC"),
        ("timestamp", "2024-02-29 23:30", "UTC"),
        ("timestamp", "2024-03-01 00:30", "Europe/Paris"),
        ("timestamp", "2024-03-01 18:30", "Asia/Tokyo"),
    ],
)
def test_a_watermark_without_time_zone_is_taken_in_the_contracts(
    tmp_path: Path, server: tuple[Path, Any], database: Any, kind: str, moment: str, zone: str
) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server, access={"timezone": zone})
    database.psql(f"alter table sales alter updated_at type {kind}")
    insert(database, moment)
    assert load(settings, contract).rows_loaded == 1


def test_only_contracted_columns_leave_the_server_and_the_others_are_reported(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    columns = [dict(c) for c in SALE_COLUMNS]
    del columns[5]["physicalName"]
    columns[5]["customProperties"] = [{"property": "expression", "value": "upper(shop)"}]
    settings, contract = reader(tmp_path), table_contract(tmp_path, server, columns=columns)
    insert(database, "2024-03-01 12:00+00")
    database.psql(
        "revoke select on sales from reader; grant select (id, amount, qty, day, shop, updated_at) on sales to reader"
    )
    partition = load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, note") == [("S1", "NORTH")]
    assert partition.uncaptured == ("note", "updated_at")


def test_a_bad_row_goes_to_quarantine_with_its_text(tmp_path: Path, server: tuple[Path, Any], database: Any) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server)
    insert(database, "2024-03-01 12:00+00", shop="east")
    insert(database, "2024-03-01 12:00+00", id="S2")
    load(settings, contract)
    assert quarantined(settings, contract, "line, rules, key") == [(1, "shop_allowed", "S1")]
    assert '"shop":"east"' in quarantined(settings, contract, "raw_text")[0][0]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("alter table sales rename qty to quantity", "lacks column 'qty'; its header is id, amount, quantity"),
        ("drop table sales", "table public.sales of database postgres on .* does not exist, or the user may not"),
        ("alter table sales drop updated_at", "has no column 'updated_at', the watermark"),
        (
            "alter table sales alter updated_at type text",
            "the watermark 'updated_at' is a text, not a date or timestamp",
        ),
        ("insert into sales values ('S9')", "has rows whose 'updated_at' is empty: they would never be delivered"),
    ],
)
def test_a_table_that_does_not_fit_fails_its_days_with_the_difference(
    tmp_path: Path, server: tuple[Path, Any], database: Any, statement: str, sentence: str
) -> None:
    settings, contract = reader(tmp_path), table_contract(tmp_path, server)
    insert(database, "2024-03-01 12:00+00")
    load(settings, contract)
    database.psql(statement)
    assert re.search(sentence, load(settings, contract).failure or "")
    assert raw_rows(settings, contract, "sale_id") == [("S1",)]


def test_a_wrong_password_is_one_sentence_without_it(tmp_path: Path, server: tuple[Path, Any], database: Any) -> None:
    settings = reader(tmp_path, pg_password="falsch'; --")
    with pytest.raises(SourceError) as raised:
        extract(settings, table_contract(tmp_path, server), [DAY])
    assert str(raised.value) == (
        f"PostgreSQL at {server[0]}, database postgres: the login is refused "
        '(password authentication failed for user "reader"); check FIDELIS_PG_USER and FIDELIS_PG_PASSWORD'
    )


def test_a_servers_own_password_goes_before_the_general_one(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    own = {"shop_db": {"user": "reader", "password": "geheim"}}
    settings = reader(tmp_path, pg_user="nobody", pg_password="falsch", servers=own)
    assert load(settings, table_contract(tmp_path, server)).failure is None


def test_rights_that_are_missing_and_a_server_that_is_away_are_one_sentence(
    tmp_path: Path, server: tuple[Path, Any], database: Any
) -> None:
    contract = table_contract(tmp_path, server)
    database.psql("revoke select on sales from reader")
    with pytest.raises(SourceError, match=r"cannot be read: permission denied for table sales$"):
        extract(reader(tmp_path), contract, [DAY])
    away = table_contract(tmp_path, server, place={"host": "127.0.0.1", "port": 1})
    with pytest.raises(SourceError, match=r"^PostgreSQL at 127.0.0.1, database postgres cannot be reached: "):
        extract(reader(tmp_path), away, [DAY])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"watermark": None}, "needs deliveryMode full, or changes or append and the watermark"),
        ({"deliveryMode": "full"}, "needs deliveryMode full, or changes or append and the watermark"),
        ({"place": {"host": None}}, "the server names no host"),
        ({"place": {"database": None}}, "the server names no database"),
    ],
)
def test_a_contract_that_leaves_open_what_to_read_is_refused(
    tmp_path: Path, server: tuple[Path, Any], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ContractError, match=sentence):
        table_contract(tmp_path, server, **options)
