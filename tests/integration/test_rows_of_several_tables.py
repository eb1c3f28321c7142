"""One file feeds several tables: each contract takes its rows, counts the others, and may look at a row's neighbours."""

from pathlib import Path

import pytest

from orchestration.contracts import ContractError
from tests.support.world import (
    DAY,
    NEXT_DAY,
    SALE_COLUMNS,
    csv_text,
    deliver,
    json_lines,
    load,
    properties,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

NORTH = "shop = 'north'"


def columns_with(**expressions: str) -> list[dict[str, object]]:
    """The columns of sales, some of them by an expression."""
    return [
        {k: v for k, v in column.items() if k != "physicalName"}
        | {"customProperties": properties(expression=expressions[column["name"]])}
        if column["name"] in expressions
        else dict(column)
        for column in SALE_COLUMNS
    ]


def test_rows_of_other_tables_are_counted_and_neither_judged_nor_loaded(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, where=NORTH, toleratedBadRowsAtLeast=2)
    others = [sale(5, shop="south", amount="not a number"), sale(6, shop="east")]
    deliver(settings, csv_text([sale(1), others[0], sale(2, amount="-1"), others[1], sale(3), sale(3)]) + "short,1\n")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded, partition.rows_elsewhere) == (7, 2, 2)
    assert (partition.rows_quarantined, partition.rows_duplicate) == (2, 1)
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("S3",)]
    assert quarantined(settings, contract) == [(4, "amount_minimum"), (8, "malformed_record: missing columns")]


def test_a_row_of_which_the_condition_cannot_tell_is_judged(tmp_path: Path) -> None:
    columns = [dict(c) | ({"required": True} if c["name"] == "shop" else {}) for c in SALE_COLUMNS]
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns, where=NORTH)
    deliver(settings, csv_text([sale(1), sale(2, shop=""), sale(3, shop="south")]))
    assert load(settings, contract).rows_elsewhere == 1
    assert quarantined(settings, contract) == [(3, "shop_required")]


def test_the_tolerated_share_is_one_of_this_tables_rows(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, where=NORTH, toleratedBadRows=0.3, toleratedBadRowsAtLeast=0)
    deliver(settings, csv_text([sale(1), sale(2, qty="x"), *(sale(n, shop="south") for n in range(3, 9))]))
    partition = load(settings, contract)
    assert partition.failure is not None
    assert "1 of 2 rows are bad" in partition.failure
    assert (partition.rows_read, partition.rows_refused, partition.rows_elsewhere) == (8, 1, 6)


def test_a_day_without_a_row_of_this_table_is_accepted_as_empty(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, where=NORTH)
    deliver(settings, csv_text([sale(1, shop="south")]))
    deliver(settings, csv_text([sale(2)]), "sales_2024-03-02.csv")
    partition = load(settings, contract, DAY, NEXT_DAY)
    assert (partition.failure, partition.rows_read, partition.rows_elsewhere) == (None, 1, 1)
    assert raw_rows(settings, contract, "sale_id") == [("S2",)]


def test_a_condition_that_does_not_fit_the_file_fails_its_day_with_the_reason(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, where="region = 'north'")
    deliver(settings, csv_text([sale(1)]))
    failure = load(settings, contract).failure
    assert failure is not None
    assert "region" in failure
    assert "sales.yaml" in failure


def test_json_lines_are_left_to_other_tables_too(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(
        tmp_path, path="sales_{date}.jsonl", server={"format": "jsonl"}, where="_fields.shop = 'north'"
    )
    deliver(settings, json_lines([sale(1), sale(2, shop="south")]) + "{no json\n", "sales_2024-03-01.jsonl")
    partition = load(settings, contract)
    assert (partition.rows_loaded, partition.rows_elsewhere, partition.rows_quarantined) == (1, 1, 1)


def test_an_expression_may_number_the_rows_of_a_file_and_take_the_first_of_a_group(tmp_path: Path) -> None:
    columns = columns_with(
        sale_id="concat(shop, '-', row_number() over (partition by _file, shop order by _row))",
        sold_on="min(day) over (partition by _file, shop)",
    )
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns, where="qty <> '0'")
    deliver(settings, csv_text([sale(9, day="2024-02-29"), sale(8, shop="south"), sale(8, qty="0"), sale(7)]))
    deliver(settings, csv_text([sale(6, day="2024-01-01")]), "sales_2024-03-02.csv")
    load(settings, contract, DAY, NEXT_DAY)
    together = raw_rows(settings, contract, "_delivery_date, sale_id, cast(sold_on as varchar), quantity")
    assert together == [
        (DAY, "north-1", "2024-02-29", 9),
        (DAY, "north-2", "2024-02-29", 7),
        (DAY, "south-1", "2024-03-01", 8),
        (NEXT_DAY, "north-1", "2024-01-01", 6),
    ]


@pytest.mark.parametrize("window", ["over ()", "OVER (partition by shop)", "over (order by _row)"])
def test_an_expression_must_not_look_beyond_its_delivery(tmp_path: Path, window: str) -> None:
    with pytest.raises(ContractError, match="column 'sale_id': begin each over"):
        sales_contract(tmp_path, columns_with(sale_id=f"cast(count(*) {window} as varchar)"))
