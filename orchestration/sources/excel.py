"""Sheets of Excel workbooks as tables of texts, each row with its number in the sheet.

A cell gives what its owner sees where that loses nothing: a date as the contract's column wants it, a number without
binary noise, leading zeros of a number format, the last computed value of a formula. A captured cell that shows an error
(``#N/A``), or a formula that nobody has computed yet, makes its row a bad one.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

from orchestration.contracts import Column, Contract
from orchestration.sources.files import DeliveredFile, DeliveryError, check_header, check_repeated

_BATCH = 20_000
#: Number of a row in the sheet, from 1, and its cells.
_Row = tuple[int, tuple[Any, ...]]


def convert(
    contract: Contract, file: DeliveredFile, folder: Path, headers: MutableMapping[str, tuple[str, ...]]
) -> DeliveredFile:
    """Write the contract's sheet as Parquet of texts with ``_line`` and ``_is_broken``, and note its header.

    Raises DeliveryError where the file is no workbook, the sheet is not there or lacks a contracted column.
    """
    target = folder / f"{len(headers)}.parquet"
    try:
        header = _convert(contract, file, target)
    except DeliveryError:
        raise
    except Exception as error:  # what a damaged workbook makes openpyxl raise is of any kind
        raise DeliveryError(f"{file.name} is no readable Excel workbook (.xlsx)") from error
    headers[file.name] = tuple(name for name in header if name)
    return replace(file, path=target)


def _convert(contract: Contract, file: DeliveredFile, target: Path) -> tuple[str, ...]:
    import openpyxl

    with file.path.open("rb") as stream:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        name = _sheet(contract, file, book.sheetnames)
        formulas = None
        if _has_formulas(file.path):
            formulas = _rows(openpyxl.load_workbook(stream, read_only=True)[name])
        rows = _rows(book[name])
        header = _header(contract, file, rows)
        if formulas is not None:
            formulas = ((number, cells) for number, cells in formulas if number > contract.server.header_row)
        _write(contract, header, rows, formulas, target)
        book.close()
    return header


def _has_formulas(path: Path) -> bool:
    """Whether a sheet of the workbook holds a formula; most deliveries do not, and are then read once."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/") or not name.endswith(".xml"):
                continue
            end = b""
            with archive.open(name) as sheet:
                while piece := sheet.read(1 << 20):
                    if re.search(rb"<(\w+:)?f[ />]", end + piece):
                        return True
                    end = piece[-16:]
    return False


def _sheet(contract: Contract, file: DeliveredFile, names: Sequence[str]) -> str:
    wanted = contract.server.sheet
    if not names:
        raise DeliveryError(f"{file.name} is a workbook without a sheet")
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        raise DeliveryError(
            f"{file.name} has the sheets {', '.join(names)}; name one in the contract, as custom property 'sheet'"
        )
    if wanted not in names:
        raise DeliveryError(f"{file.name} has no sheet '{wanted}'; it has {', '.join(names)}")
    return wanted


def _rows(sheet: Any) -> Iterator[_Row]:
    """The rows of a sheet with their numbers; the size that a file declares for itself is not believed."""
    sheet.reset_dimensions()
    yield from enumerate(sheet.iter_rows(), start=1)


def _header(contract: Contract, file: DeliveredFile, rows: Iterator[_Row]) -> tuple[str, ...]:
    for number, cells in rows:
        if number == contract.server.header_row:
            header = tuple("" if c.value is None else str(c.value).strip() for c in cells)
            check_repeated(file, [name for name in header if name])
            check_header(contract, file, header)
            return header
    raise DeliveryError(f"{file.name} ends before row {contract.server.header_row}, which should name the columns")


def _write(
    contract: Contract, header: Sequence[str], rows: Iterable[_Row], formulas: Iterable[_Row] | None, target: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {c.header: c for c in contract.columns if c.header}
    named = [(i, name) for i, name in enumerate(header) if name]
    fields = [pa.field(name, pa.string()) for _, name in named]
    schema = pa.schema([*fields, pa.field("_line", pa.int64()), pa.field("_is_broken", pa.bool_())])
    with pq.ParquetWriter(target, schema) as writer:
        batch: list[dict[str, Any]] = []
        for (number, cells), (_, sources) in zip(rows, formulas or repeat((0, ())), strict=False):
            record = {name: _text(contract, columns.get(name), cells[i]) for i, name in named if i < len(cells)}
            broken = [name for i, name in named if name in columns and i < len(cells) and _is_broken(i, cells, sources)]
            if broken or any(value is not None for value in record.values()):
                batch.append({**record, "_line": number, "_is_broken": bool(broken)})
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema))


def _is_broken(i: int, cells: Sequence[Any], sources: Sequence[Any]) -> bool:
    """Whether a cell shows an error, or is a formula (``sources`` has it) without a computed value."""
    is_formula = i < len(sources) and sources[i].data_type == "f"
    return cells[i].data_type == "e" or (is_formula and cells[i].value is None)


def _text(contract: Contract, column: Column | None, cell: Any) -> str | None:
    value = cell.value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, datetime)):
        return _moment(column, value)
    if isinstance(value, (time, timedelta)):
        return str(value)
    if isinstance(value, (int, float)):
        return _number(contract, value, cell.number_format)
    text = str(value)
    return None if text in ("", contract.null_text) else text


def _moment(column: Column | None, value: date) -> str:
    if column is not None and column.format and column.logical_type in ("date", "timestamp"):
        return value.strftime(column.format)
    if not isinstance(value, datetime):
        return value.isoformat()
    wants_day = column is None or column.logical_type != "timestamp"
    return value.date().isoformat() if wants_day and value.time() == time() else value.isoformat(" ")


def _number(contract: Contract, value: int | float, number_format: str) -> str:
    """A number as Excel means it: fifteen digits, no exponent, zeros in front where its format shows them."""
    # Excel itself computes with fifteen digits; the file may hold 0.30000000000000004
    text = format(value, "d") if isinstance(value, int) else _plain(format(value, ".15g"))
    if re.fullmatch("0{2,}", number_format) and text.isdigit():
        return text.zfill(len(number_format))
    return text.replace(".", contract.decimal_sign)


def _plain(text: str) -> str:
    from decimal import Decimal

    plain = format(Decimal(text), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
