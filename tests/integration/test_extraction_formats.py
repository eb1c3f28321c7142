"""The same sales delivered as CSV, JSON lines and Parquet, and in the dialects that real systems write."""

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.support.world import (
    SALE_COLUMNS,
    SALE_HEADER,
    csv_text,
    deliver,
    json_lines,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

FIRST = ("S1", Decimal("1.50"), 1, date(2024, 3, 1), "north", "note 1")
SECOND = ("S2", Decimal("2.50"), 2, date(2024, 3, 1), "north", "note 2")
COLUMNS = "sale_id, amount, quantity, sold_on, shop, note"


def test_a_csv_delivery_is_loaded_with_the_contracts_types(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2)]))
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded, partition.failure) == (2, 2, None)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST, SECOND]


def test_every_row_knows_its_day_and_its_file(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="*/sales_{date}.csv")
    deliver(settings, csv_text([sale(1), sale(2)]), "a/sales_2024-03-01.csv")
    deliver(settings, csv_text([sale(3), sale(4)]), "b/sales_2024-03-01.csv")
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, _delivery_date, _file") == [
        ("S1", date(2024, 3, 1), "a/sales_2024-03-01.csv"),
        ("S2", date(2024, 3, 1), "a/sales_2024-03-01.csv"),
        ("S3", date(2024, 3, 1), "b/sales_2024-03-01.csv"),
        ("S4", date(2024, 3, 1), "b/sales_2024-03-01.csv"),
    ]


def test_compressed_json_lines_are_loaded_and_their_nested_fields_found(tmp_path: Path) -> None:
    columns = [dict(c) for c in SALE_COLUMNS]
    columns[4]["physicalName"] = "place.shop"
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, columns, path="sales_{date}.jsonl.gz", server={"format": "jsonl"})
    rows = [
        {"id": "S1", "amount": 1.5, "qty": 1, "day": "2024-03-01", "place": {"shop": "north"}, "note": "note 1"},
        {"id": "S2", "amount": "2.50", "qty": "2", "day": "2024-03-01", "place": {"shop": "north"}, "note": "note 2"},
    ]
    deliver(settings, json_lines(rows) + "\n\n", "sales_2024-03-01.jsonl.gz")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (2, 2)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST, SECOND]


def test_an_empty_text_in_json_is_a_missing_value_as_it_is_in_csv(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.jsonl", server={"format": "jsonl"})
    deliver(settings, json_lines([sale(1, note="", day=""), sale(2, id="")]), "sales_2024-03-01.jsonl")
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, sold_on, note") == [("S1", None, None)]
    assert quarantined(settings, contract) == [(2, "sale_id_required")]


def test_lines_that_are_no_json_object_go_to_quarantine_with_their_line(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.jsonl", server={"format": "jsonl"})
    text = json_lines([sale(1)]) + "\n{broken\n" + json_lines([sale(2)]) + '"a text"\n[1]\n5\n'
    deliver(settings, text, "sales_2024-03-01.jsonl")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded, partition.rows_quarantined) == (6, 2, 4)
    assert quarantined(settings, contract, "line") == [(3,), (5,), (6,), (7,)]
    assert quarantined(settings, contract, "raw_text, rules")[-1] == ("{broken", "malformed_record")


def test_a_parquet_delivery_is_loaded_with_its_own_types_checked(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.parquet", server={"format": "parquet"})
    duckdb.execute(
        f"copy (select 'S' || i as id, i + 0.5 as amount, i::int as qty, date '2024-03-01' as day, 'north' as shop, "
        f"'note ' || i as note, 'x' as extra from range(1, 3) t(i)) to '{settings.landing_dir}/sales_2024-03-01.parquet'"
    )
    partition = load(settings, contract)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST, SECOND]
    assert partition.uncaptured == ("extra",)


def test_parquet_files_whose_types_differ_keep_their_own_values(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="*/sales_{date}.parquet", server={"format": "parquet"})
    for folder, number, amount in (("a", 1, "3"), ("b", 2, "2.5::double"), ("c", 3, "4.25::decimal(9,2)")):
        (settings.landing_dir / folder).mkdir()
        duckdb.execute(
            f"copy (select 'S{number}' as id, {amount} as amount, 1 as qty, date '2024-03-01' as day, 'north' as shop, "
            f"null::varchar as note) to '{settings.landing_dir}/{folder}/sales_2024-03-01.parquet'"
        )
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, amount") == [
        ("S1", Decimal("3.00")),
        ("S2", Decimal("2.50")),
        ("S3", Decimal("4.25")),
    ]


def test_bad_parquet_rows_are_quarantined_with_their_row_number(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.parquet", server={"format": "parquet"})
    duckdb.execute(
        f"copy (select 'S' || i as id, case when i = 3 then -1.0 else i end as amount, case when i = 2 then 2.5 else i end as qty, "
        f"date '2024-03-01' as day, 'north' as shop, '' as note from range(1, 5) t(i)) "
        f"to '{settings.landing_dir}/sales_2024-03-01.parquet'"
    )
    load(settings, contract)
    assert quarantined(settings, contract) == [(2, "quantity_type"), (3, "amount_minimum")]


@pytest.mark.parametrize(
    ("server", "access", "content"),
    [
        ({"delimiter": ";"}, {"decimalSign": ","}, "id;amount;qty;day;shop;note\nS1;1,50;1;2024-03-01;north;note 1\n"),
        ({"delimiter": "\t"}, {}, "id\tamount\tqty\tday\tshop\tnote\nS1\t1.50\t1\t2024-03-01\tnorth\tnote 1\n"),
        ({"delimiter": "|"}, {"quote": "'"}, "id|amount|qty|day|shop|note\nS1|1.50|1|2024-03-01|north|'note 1'\n"),
        ({}, {}, "id,amount,qty,day,shop,note\r\nS1,1.50,1,2024-03-01,north,note 1\r\n"),
        ({}, {}, "\ufeffid,amount,qty,day,shop,note\nS1,1.50,1,2024-03-01,north,note 1"),
        ({}, {}, "shop,note,extra,day,qty,id,amount\nnorth,note 1,x,2024-03-01,1,S1,1.50\n"),
        ({}, {}, ' id , amount,"qty",day,shop,note\nS1,1.50,1,2024-03-01,north,note 1\n'),
    ],
    ids=["decimal comma", "tab", "other quote", "CR LF", "byte order mark", "other order", "header with spaces"],
)
def test_a_dialect_of_csv_gives_the_same_row(
    tmp_path: Path, server: dict[str, str], access: dict[str, str], content: str
) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, server=server, access=access)
    deliver(settings, content)
    load(settings, contract)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST]


@pytest.mark.parametrize("encoding", ["latin-1", "latin1", "ISO-8859-1", "utf-16", "UTF8"])
def test_a_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, server={"encoding": encoding})
    deliver(settings, csv_text([sale(1, note="café à Nîmes")]).encode(encoding))
    load(settings, contract)
    assert raw_rows(settings, contract, "note") == [("café à Nîmes",)]


@pytest.mark.parametrize(("compression", "name"), [("gzip", "sales_2024-03-01.csv"), ("none", "sales_2024-03-01.gz")])
def test_a_declared_compression_holds_whatever_the_files_name(tmp_path: Path, compression: str, name: str) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}" + name[16:], access={"compression": compression})
    content = csv_text([sale(1), sale(2, shop="west")]).encode()
    (settings.landing_dir / name).write_bytes(gzip.compress(content) if compression == "gzip" else content)
    load(settings, contract)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST]
    assert quarantined(settings, contract, "line, raw_text") == [(3, "S2,2.50,2,2024-03-01,west,note 2")]


def test_the_declared_text_for_null_is_null(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, access={"nullText": "NULL"})
    deliver(settings, csv_text([sale(1, amount="NULL", note="NULL"), sale(2, amount="")]))
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, amount, note") == [("S1", None, None), ("S2", None, "note 2")]


def test_a_field_too_many_is_one_too_many_also_where_it_is_the_null_text(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, access={"nullText": "NULL"})
    deliver(settings, "id,amount,qty,day,shop,note\nS1,1,1,2024-03-01,north,a, b\nS2,1,1,2024-03-01,north,a,NULL\n")
    assert load(settings, contract).rows_loaded == 0
    assert quarantined(settings, contract) == [(n, "malformed_record: too many columns") for n in (2, 3)]


def test_files_of_one_day_with_different_headers_are_read_each_by_its_own(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="*/sales_{date}.csv")
    deliver(settings, csv_text([sale(1)]), "a/sales_2024-03-01.csv")
    deliver(settings, csv_text([sale(2) | {"till": "7"}], (*reversed(SALE_HEADER), "till")), "b/sales_2024-03-01.csv")
    partition = load(settings, contract)
    assert raw_rows(settings, contract, COLUMNS) == [FIRST, SECOND]
    assert partition.uncaptured == ("till",)


def test_an_expression_derives_a_column_from_headers(tmp_path: Path) -> None:
    columns = [dict(c) for c in SALE_COLUMNS]
    for number, expression in ((1, "cast(price as decimal(18,2)) * cast(qty as integer)"), (4, "'south'")):
        del columns[number]["physicalName"]
        columns[number]["customProperties"] = [{"property": "expression", "value": expression}]
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns)
    deliver(settings, "id,price,qty,day,note\nS1,2.50,3,2024-03-01,hello\n")
    partition = load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, amount, shop") == [("S1", Decimal("7.50"), "south")]
    assert partition.uncaptured == ()
