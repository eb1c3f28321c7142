"""Excel workbooks made with openpyxl: sheet and header row of the contract, no digit and no date lost."""

import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from orchestration.contracts import Contract, ContractError
from orchestration.extraction import extract
from orchestration.settings import Settings
from tests.support.servers import s3_storage
from tests.support.world import (
    DAY,
    NEXT_DAY,
    SALE_COLUMNS,
    SALE_HEADER,
    load,
    quarantined,
    raw_rows,
    sales_contract,
    settings_in,
)

ROW: list[Any] = ["S1", 1.5, 1, date(2024, 3, 1), "north", "note 1"]


def workbook(path: Path, rows: list[list[Any]], *, sheet: str = "Sheet", formats: dict[str, str] | None = None) -> Path:
    book = openpyxl.Workbook()
    active = book.active
    assert active is not None
    active.title = sheet
    for row in rows:
        active.append(row)
    for cell, form in (formats or {}).items():
        active[cell].number_format = form
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def deliver_sheet(settings: Settings, *rows: list[Any], **options: Any) -> Path:
    return workbook(settings.landing_dir / "sales_2024-03-01.xlsx", [list(SALE_HEADER), *rows], **options)


def excel_contract(folder: Path, **options: Any) -> Contract:
    return sales_contract(folder, path="sales_{date}.xlsx", server={"format": "xlsx"}, **options)


def test_a_sheet_is_loaded_without_its_empty_rows(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    deliver_sheet(settings, ROW, [None] * 6, ["S2", 2.5, 2, date(2024, 3, 1), "south", None])
    partition = load(settings, contract)
    assert (partition.rows_read, partition.rows_loaded) == (2, 2)
    assert raw_rows(settings, contract, "sale_id, amount, quantity, sold_on, shop, note") == [
        ("S1", Decimal("1.50"), 1, DAY, "north", "note 1"),
        ("S2", Decimal("2.50"), 2, DAY, "south", None),
    ]


def test_sheet_and_header_row_are_the_contracts(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = excel_contract(tmp_path, access={"sheet": "Ventes", "headerRow": 3})
    rows = [["Sales of March"], [], [*SALE_HEADER, None, "extra"], [*ROW, "no header", "x"], ["total", 1.5]]
    path = workbook(settings.landing_dir / "sales_2024-03-01.xlsx", rows, sheet="Ventes")
    book = openpyxl.load_workbook(path)
    book.create_sheet("Notes", 0).append(["id", "nothing"])
    book["Ventes"].merge_cells("A1:F1")
    book.save(path)
    partition = load(settings, contract)
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("total",)]
    assert partition.uncaptured == ("extra",)


def test_no_digit_is_lost_and_none_is_invented(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    deliver_sheet(
        settings,
        [42, 0.1 + 0.2, 3.0, *ROW[3:]],
        [7, 1e15, -2, *ROW[3:]],
        ["0042", 1234567890.12, 123456789012345, *ROW[3:]],
        [True, "3.10", "4", "2024-03-01", "north", 20240301],
        formats={"A3": "00000"},
    )
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, amount, quantity, note") == [
        ("00007", Decimal("1000000000000000.00"), -2, "note 1"),
        ("0042", Decimal("1234567890.12"), 123456789012345, "note 1"),
        ("42", Decimal("0.30"), 3, "note 1"),
        ("true", Decimal("3.10"), 4, "20240301"),
    ]


def test_a_decimal_comma_and_a_null_text_hold_for_typed_text_and_numbers_alike(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = excel_contract(tmp_path, access={"decimalSign": ",", "nullText": "n/a"})
    deliver_sheet(settings, ROW, ["S2", "2,50", 1, *ROW[3:]], ["S3", "n/a", 1, *ROW[3:5], "n/a"])
    load(settings, contract)
    assert raw_rows(settings, contract, "amount, note") == [
        (Decimal("1.50"), "note 1"),
        (Decimal("2.50"), "note 1"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        (datetime(2024, 3, 1, 18, 30, 15), None),
        (datetime(2024, 3, 1), None),
        (date(2024, 3, 1), None),
        (datetime(2024, 3, 1, 18, 30), "%d/%m/%Y %H:%M"),
        ("01/03/2024 18:30", "%d/%m/%Y %H:%M"),
    ],
)
def test_dates_and_times_keep_their_moment(tmp_path: Path, cell: Any, form: str | None) -> None:
    columns = [dict(c) for c in SALE_COLUMNS]
    columns[3] = {"name": "sold_on", "physicalName": "day", "logicalType": "timestamp"}
    columns[3] |= {"logicalTypeOptions": {"format": form}} if form else {}
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path, columns=columns)
    deliver_sheet(settings, [*ROW[:3], cell, *ROW[4:]])
    load(settings, contract)
    moment = datetime(2024, 3, 1, 18, 30) if isinstance(cell, str) else datetime.combine(cell, datetime.min.time())
    if isinstance(cell, datetime):
        moment = cell
    assert raw_rows(settings, contract, "sold_on") == [(moment,)]


def test_a_date_with_a_time_of_day_is_no_date(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    deliver_sheet(settings, [*ROW[:3], datetime(2024, 3, 1, 12), *ROW[4:]])
    load(settings, contract)
    assert quarantined(settings, contract) == [(2, "sold_on_type")]


def test_formulas_give_their_last_computed_value_and_one_never_computed_is_a_bad_row(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    path = deliver_sheet(settings, ROW, ["S2", "=C3*2", 2, *ROW[3:]], ["S3", "=C4*2", 3, *ROW[3:]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b"<f>C3*2</f><v />", b"<f>C3*2</f><v>4</v>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    load(settings, contract)
    assert raw_rows(settings, contract, "sale_id, amount") == [("S1", Decimal("1.50")), ("S2", Decimal("4.00"))]
    assert quarantined(settings, contract) == [(4, "malformed_record")]


def test_an_error_in_a_captured_cell_makes_a_bad_row(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    deliver_sheet(settings, ROW, ["S2", 1, 1, DAY, "north", "#N/A"])
    load(settings, contract)
    assert quarantined(settings, contract) == [(3, "malformed_record")]
    assert '"id":"S2"' in quarantined(settings, contract, "raw_text")[0][0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.write_bytes(b"id,amount\n"), "is no readable Excel workbook (.xlsx)"),
        (lambda p: p.write_bytes(p.read_bytes()[:-300]), "is no readable Excel workbook (.xlsx)"),
        (lambda p: workbook(p, [["id", "amount"], ["S1", 1]]), "lacks column 'qty', 'day', 'shop', 'note'"),
        (lambda p: workbook(p, [[*SALE_HEADER, "ID"]]), "has column 'ID' more than once"),
        (lambda p: workbook(p, []), "ends before row 1, which should name the columns"),
    ],
)
def test_a_file_that_cannot_be_read_fails_its_day_only(tmp_path: Path, change: Any, sentence: str) -> None:
    settings, contract = settings_in(tmp_path), excel_contract(tmp_path)
    change(deliver_sheet(settings, ROW))
    workbook(settings.landing_dir / "sales_2024-03-02.xlsx", [list(SALE_HEADER), ROW])
    loaded = extract(settings, contract, [DAY, NEXT_DAY])
    assert sentence in (loaded[DAY].failure or "")
    assert loaded[NEXT_DAY].rows_loaded == 1


def test_a_sheet_that_is_not_there_or_not_chosen_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    path = deliver_sheet(settings, ROW)
    assert "has no sheet 'Ventes'; it has Sheet" in (
        load(settings, excel_contract(tmp_path, access={"sheet": "Ventes"})).failure or ""
    )
    book = openpyxl.load_workbook(path)
    book.create_sheet("Second")
    book.save(path)
    assert "has the sheets Sheet, Second; name one" in (load(settings, excel_contract(tmp_path)).failure or "")


def test_a_header_row_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="headerRow must be the number"):
        excel_contract(tmp_path, access={"headerRow": 0})


def test_a_workbook_comes_from_s3_as_well(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, s3_key_id="reader", s3_secret="x")
    with s3_storage("shop") as (url, client):
        server = {
            "type": "s3",
            "path": None,
            "location": "s3://shop/s_{date}.xlsx",
            "endpointUrl": url,
            "format": "xlsx",
        }
        contract = sales_contract(tmp_path, server=server)
        client.upload_file(str(deliver_sheet(settings, ROW)), "shop", "s_2024-03-01.xlsx")
        assert load(settings, contract).rows_loaded == 1
