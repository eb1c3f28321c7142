"""Sheets of Excel workbooks as tables of texts, each row with its number in the sheet.

A cell gives what its owner sees where that loses nothing: a date as the contract's column wants it, a number without
binary noise, leading zeros of a number format, the last computed value of a formula.
"""

import re
import zipfile
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from orchestration.contracts import Column, Contract
from orchestration.sources.files import DeliveredFile, DeliveryError, check_header, check_repeated

_BATCH = 20_000


def convert(
    contract: Contract, file: DeliveredFile, folder: Path, headers: MutableMapping[str, tuple[str, ...]]
) -> DeliveredFile:
    """Write the contract's sheet as Parquet of texts with ``_line`` and ``_is_broken``, and note its header.

    Raises DeliveryError where the file is no workbook, the sheet is not there or lacks a contracted column.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with file.path.open("rb") as stream:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet = _sheet(contract, file, book.sheetnames)
            rows = _rows(book[sheet])
            header = _header(contract, file, rows)
            target = folder / f"{len(headers)}.parquet"
            _write(contract, header, rows, target)
            book.close()
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError, EOFError, SyntaxError) as error:
        raise DeliveryError(f"{file.name} is no readable Excel workbook (.xlsx)") from error
    headers[file.name] = tuple(name for name in header if name)
    return replace(file, path=target)


def _sheet(contract: Contract, file: DeliveredFile, names: Sequence[str]) -> str:
    wanted = contract.server.sheet
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        raise DeliveryError(
            f"{file.name} has the sheets {', '.join(names)}; name one in the contract, as custom property 'sheet'"
        )
    if wanted not in names:
        raise DeliveryError(f"{file.name} has no sheet '{wanted}'; it has {', '.join(names)}")
    return wanted


def _rows(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows of a sheet with their numbers; the size that a file declares for itself is not believed."""
    sheet.reset_dimensions()
    yield from enumerate(sheet.iter_rows(), start=1)


def _header(contract: Contract, file: DeliveredFile, rows: Iterator[tuple[int, tuple[Any, ...]]]) -> tuple[str, ...]:
    for number, cells in rows:
        if number == contract.server.header_row:
            header = tuple("" if c.value is None else str(c.value).strip() for c in cells)
            check_repeated(file, [name for name in header if name])
            check_header(contract, file, header)
            return header
    raise DeliveryError(f"{file.name} ends before row {contract.server.header_row}, which should name the columns")


def _write(
    contract: Contract, header: Sequence[str], rows: Iterator[tuple[int, tuple[Any, ...]]], target: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {c.header: c for c in contract.columns if c.header}
    named = [(i, name) for i, name in enumerate(header) if name]
    fields = [pa.field(name, pa.string()) for _, name in named]
    schema = pa.schema([*fields, pa.field("_line", pa.int64()), pa.field("_is_broken", pa.bool_())])
    with pq.ParquetWriter(target, schema) as writer:
        batch: list[dict[str, Any]] = []
        for number, cells in rows:
            given = [(name, cells[i]) for i, name in named if i < len(cells)]
            record: dict[str, Any] = {name: _text(contract, columns.get(name), cell) for name, cell in given}
            if all(value is None for value in record.values()):
                continue
            is_broken = any(cell.data_type == "e" for name, cell in given if name in columns)
            batch.append(record | {"_line": number, "_is_broken": is_broken})
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema))


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
