"""Bad rows leave the delivery with their rule, key, file, physical line and text; the others stay."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.world import (
    DAY,
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

HEADER = ",".join(SALE_HEADER) + "\n"


def line(number: int, note: str = "") -> str:
    return f"S{number},{number}.50,1,2024-03-01,north,{note}\n"


def load_text(tmp_path: Path, content: str | bytes, name: str = "sales_2024-03-01.csv") -> list[tuple[int, str]]:
    """Quarantined (line, rules) of a delivery with this content."""
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="sales_{date}" + name[16:])
    deliver(settings, content, name)
    assert load(settings, contract).failure is None
    return quarantined(settings, contract)


def test_a_quarantined_row_says_table_day_rule_key_file_line_and_text(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2, amount="-2.50", shop="west"), sale(3)]))
    partition = load(settings, contract)
    assert quarantined(settings, contract, "table_name, _delivery_date, rules, key, file, line, raw_text") == [
        (
            "sales",
            date(2024, 3, 1),
            "amount_minimum, shop_allowed",
            "S2",
            "sales_2024-03-01.csv",
            3,
            "S2,-2.50,2,2024-03-01,west,note 2",
        )
    ]
    assert partition.violations == {"amount_minimum": 1, "shop_allowed": 1}
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("S3",)]


def test_only_the_owner_of_the_process_may_enter_quarantine_and_read_it(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    settings.quarantine_dir.mkdir(parents=True, mode=0o755)
    deliver(settings, csv_text([sale(1), sale(2, qty="x")]))
    load(settings, contract)
    files = [p for p in settings.quarantine_dir.rglob("*") if p.is_file()]
    assert [p.stat().st_mode & 0o777 for p in (settings.quarantine_dir, *files)] == [0o700, 0o600]


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ({"id": ""}, "sale_id_required"),
        ({"amount": "12.345"}, "amount_type"),
        ({"amount": "1e3"}, "amount_type"),
        ({"amount": "-0.01"}, "amount_minimum"),
        ({"qty": "2.5"}, "quantity_type"),
        ({"qty": "0x1F"}, "quantity_type"),
        ({"qty": "1_000"}, "quantity_type"),
        ({"day": "2024-02-30"}, "sold_on_type"),
        ({"day": "01/03/2024"}, "sold_on_type"),
        ({"shop": "North"}, "shop_allowed"),
    ],
)
def test_each_kind_of_fault_breaks_its_own_rule_alone(tmp_path: Path, fault: dict[str, str], rule: str) -> None:
    assert load_text(tmp_path, csv_text([sale(1), sale(2, **fault)])) == [(3, rule)]


def test_lines_are_counted_over_blank_lines(tmp_path: Path) -> None:
    text = HEADER + line(1) + "\n\n" + line(2).replace("north", "west") + "\n" + line(3) + "short,1\n\n" + line(4)
    assert load_text(tmp_path, text) == [(5, "shop_allowed"), (8, "malformed_record: missing columns")]


def test_lines_are_counted_over_fields_of_several_lines(tmp_path: Path) -> None:
    text = HEADER + line(1, '"one\n\ntwo ""quoted""\nthree"') + line(2, '"x\ny"').replace("north", "west") + "short\n"
    assert load_text(tmp_path, text) == [(6, "shop_allowed"), (8, "malformed_record: missing columns")]


def test_the_text_of_a_record_of_several_lines_is_kept_whole(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, HEADER + line(1, '"x\ny"').replace("north", "west"))
    load(settings, contract)
    assert quarantined(settings, contract, "raw_text") == [('S1,1.50,1,2024-03-01,west,"x\ny"',)]


@pytest.mark.parametrize("note", ['5" screen', 'a "word" here', '5" "x" 3"', '  "spaced ""x"" "  ', '"ends"  '])
def test_a_quote_within_an_unquoted_field_does_not_shift_the_lines(tmp_path: Path, note: str) -> None:
    text = HEADER + line(1, note) + line(2).replace("north", "west") + "short\n"
    assert load_text(tmp_path, text) == [(3, "shop_allowed"), (4, "malformed_record: missing columns")]


def test_text_after_a_closing_quote_is_a_malformed_record_and_no_other(tmp_path: Path) -> None:
    text = HEADER + line(1, '"ab"cd') + line(2) + line(3, '"a"b"c') + line(4).replace("north", "west")
    rule = "malformed_record: unquoted value"
    assert load_text(tmp_path, text) == [(2, rule), (4, rule), (5, "shop_allowed")]


def test_an_unclosed_quote_takes_the_records_up_to_the_next_quote_only(tmp_path: Path) -> None:
    text = HEADER + line(1, '"open') + line(2, '"x"') + line(3) + line(4).replace("north", "west")
    assert load_text(tmp_path, text) == [(2, "malformed_record: unquoted value"), (5, "shop_allowed")]


def test_windows_line_ends_count_as_one_line(tmp_path: Path) -> None:
    text = (HEADER + line(1, '"x\ny"') + "\n" + line(2).replace("north", "west") + "short\n").replace("\n", "\r\n")
    assert load_text(tmp_path, text) == [(5, "shop_allowed"), (6, "malformed_record: missing columns")]


def test_a_byte_order_mark_and_a_compressed_file_change_nothing(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER + line(1) + line(2).replace("north", "west") + "short\n"
    expected = [(3, "shop_allowed"), (4, "malformed_record: missing columns")]
    assert load_text(tmp_path, text, "sales_2024-03-01.csv.gz") == expected


def test_a_record_that_is_no_utf8_is_quarantined_and_its_bytes_are_shown(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, (HEADER + line(1, "café")).encode() + line(2, "café").encode("latin-1") + line(3, "é").encode())
    load(settings, contract)
    assert quarantined(settings, contract) == [(3, "malformed_record: invalid encoding")]
    assert quarantined(settings, contract, "raw_text") == [("S2,2.50,1,2024-03-01,north,caf\\xe9",)]
    assert raw_rows(settings, contract, "note") == [("café",), ("é",)]


def test_a_line_of_five_megabytes_is_quarantined_and_the_rest_is_loaded(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, HEADER + line(1) + line(2, "x" * 5_000_000) + line(3) + line(4).replace("north", "west"))
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (4, 2)
    assert quarantined(settings, contract) == [
        (3, "malformed_record: line size over maximum"),
        (5, "shop_allowed"),
    ]
    assert quarantined(settings, contract, "max(length(raw_text))") == [(10_000,)]


def test_a_line_of_five_megabytes_among_json_lines_is_quarantined_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.jsonl.gz", server={"format": "jsonl"})
    rows = [sale(1), sale(2, note="x" * 5_000_000), sale(3), sale(4, shop="west")]
    deliver(settings, json_lines(rows), "sales_2024-03-01.jsonl.gz")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (4, 2)
    assert quarantined(settings, contract) == [
        (2, "malformed_record: line size over maximum"),
        (4, "shop_allowed"),
    ]


def test_equal_rows_are_loaded_once_and_counted_as_duplicates(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, path="*/sales_{date}.csv")
    deliver(settings, csv_text([sale(1), sale(2), sale(1)]), "a/sales_2024-03-01.csv")
    deliver(settings, csv_text([sale(1), sale(3)]), "b/sales_2024-03-01.csv")
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded, partition.rows_duplicate) == (5, 3, 2)
    assert quarantined(settings, contract) == []


def test_duplicates_that_differ_only_in_a_column_not_captured_are_duplicates(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1, till="1"), sale(1, till="2")], (*SALE_HEADER, "till")))
    assert load(settings, contract).rows_duplicate == 1


def test_rows_that_share_a_key_and_differ_are_all_quarantined(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2), sale(1), sale(1, amount="9.00")]))
    partition = load(settings, contract)
    assert partition.violations == {"conflicting_key": 3}
    assert quarantined(settings, contract) == [(n, "conflicting_key") for n in (2, 4, 5)]
    assert raw_rows(settings, contract, "sale_id") == [("S2",)]


def test_a_bad_row_does_not_make_its_good_namesake_conflict(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(1, amount="-9.00")]))
    assert load(settings, contract).violations == {"amount_minimum": 1}
    assert raw_rows(settings, contract, "sale_id, amount") == [("S1", Decimal("1.50"))]


def test_a_broken_warning_rule_is_counted_and_the_row_is_loaded(tmp_path: Path) -> None:
    columns = [
        {"name": "sale_id", "physicalName": "id", "logicalType": "string", "primaryKey": True, "required": True},
        {
            "name": "note",
            "physicalName": "note",
            "logicalType": "string",
            "logicalTypeOptions": {"maxLength": 3},
            "customProperties": [{"property": "severity", "value": "warning"}],
        },
    ]
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns)
    deliver(settings, "id,note\nS1,long\nS2,ok\n")
    partition = load(settings, contract)
    assert (partition.rows_loaded, partition.violations) == (2, {"note_length": 1})


def test_a_rule_of_a_row_may_compare_columns_and_the_delivery_day(tmp_path: Path) -> None:
    rule = {
        "name": "not_after_delivery",
        "type": "custom",
        "engine": "duckdb",
        "implementation": "sold_on <= _delivery_date",
    }
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, quality=[rule])
    deliver(settings, csv_text([sale(1), sale(2, day="2024-03-02"), sale(3, day="")]))
    load(settings, contract)
    assert quarantined(settings, contract) == [(3, "not_after_delivery")]


def test_the_quarantine_of_a_day_is_replaced_when_the_day_is_loaded_again(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2, amount="-1")]))
    load(settings, contract)
    deliver(settings, csv_text([sale(1), sale(2), sale(3, shop="west")]))
    load(settings, contract, DAY)
    assert quarantined(settings, contract) == [(4, "shop_allowed")]
    assert len(list(settings.quarantine_dir.rglob("*.parquet"))) == 1
