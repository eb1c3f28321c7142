"""Delivered files: which there are, whether their header fits the contract, and how DuckDB reads them.

Reading never fails row by row: what a reader cannot split into fields is reported as a rejected record,
everything else arrives as text (CSV, JSON lines) or with the file's own types (Parquet).
"""

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import duckdb

from orchestration.contracts import Contract
from orchestration.rules import quote_name, quote_text
from orchestration.servers import TABLE

#: A longer record is set aside: no row of a retailer has it, and an unclosed quote must not eat memory.
MAX_LINE_BYTES = 2_000_000
_HEADER_BYTES = 1_000_000
#: Formats that are read as Parquet of texts with ``_line`` and ``_is_broken``, written when they were fetched.
CONVERTED = ("xlsx", TABLE)
TEXT = ("csv", "jsonl")
#: Names that the reader gives to columns of its own; a source's column of that name is read under another.
_TECHNICAL = ("", "_path", "_row", "_malformed", "_file", "_delivery_date", "file_row_number", "_beyond")
_BEYOND = "_beyond"
#: Values of ``_malformed``: 0, or bits of which the lowest says that the record could not be split into fields.
FINE, BROKEN, TOO_MANY, MISSING = 0, 1, 3, 5
#: Stands for null in a padded reading, in which an empty field is not yet one: no text is this.
_NEVER = "\x02no value\x03"

_DATE_FIELD = re.compile(r"\{date(?::([^}]*))?\}")


def path_pattern(contract: Contract) -> tuple[str, re.Pattern[str] | None, str]:
    """The contract's path as (glob, expression whose group ``date`` is the delivery day, format of that day)."""
    field = _DATE_FIELD.search(contract.path)
    if field is None:
        return contract.path, None, ""
    day_format = field.group(1) or "%Y-%m-%d"
    sample = datetime(2000, 11, 22).strftime(day_format)
    before, after = contract.path[: field.start()], _DATE_FIELD.sub("*", contract.path[field.end() :])

    def expression(part: str) -> str:
        return re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")

    pattern = re.compile(f"{expression(before)}(?P<date>.{{{len(sample)}}}){expression(after)}$")
    return f"{before}{re.sub('[^/]', '?', sample)}{after}", pattern, day_format


def day_of(contract: Contract, name: str) -> date | None:
    """The delivery day of a file by its name; None where the name does not fit the contract's path."""
    _, pattern, day_format = path_pattern(contract)
    if pattern is None:
        return contract.delivery_date
    match = pattern.match(name)
    try:
        return datetime.strptime(match["date"], day_format).date() if match else None
    except ValueError:  # the wildcard caught a name that is no date
        return None


def dated_path(contract: Contract, day: date) -> str:
    """The contract's path on one delivery day."""
    return _DATE_FIELD.sub(lambda found: day.strftime(found.group(1) or "%Y-%m-%d"), contract.path)


class DeliveryError(ValueError):
    """A delivery cannot be read at all; the message is one sentence that names the file and the reason."""


class SourceError(ValueError):
    """A server cannot be reached or refuses us; the message is one sentence that says what to check."""


@dataclass(frozen=True)
class DeliveredFile:
    """One file of one delivery day; ``name`` is its path below the landing folder, or its address.

    What is not on this machine has no ``path`` until it is fetched; ``version`` is what its server calls its content.
    """

    day: date
    path: Path
    name: str
    size: int
    modified_ns: int
    version: str = ""


@dataclass
class Fetched:
    """Deliveries on this machine by day, why others are not, and the header of each converted file by its name."""

    files: dict[date, tuple[DeliveredFile, ...]]
    failures: dict[date, str] = field(default_factory=dict)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)


def discover(contract: Contract, landing: Path) -> dict[date, tuple[DeliveredFile, ...]]:
    """All delivered files of a table by delivery day, in name order."""
    found: dict[date, list[DeliveredFile]] = {}
    for path in sorted(landing.glob(path_pattern(contract)[0])):
        name = path.relative_to(landing).as_posix()
        day = day_of(contract, name)
        if day is not None and path.is_file():
            stat = path.stat()
            found.setdefault(day, []).append(DeliveredFile(day, path, name, stat.st_size, stat.st_mtime_ns))
    return {day: tuple(files) for day, files in sorted(found.items())}


def fingerprint(files: Sequence[DeliveredFile]) -> str:
    """Changes whenever a file of the delivery comes, goes or is written again."""
    listing = "\n".join(f"{f.name} {f.size} {f.modified_ns} {f.version}".rstrip() for f in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def local_copy(folder: Path, name: str) -> Path:
    """Where a fetched file goes: its own name, so that its ending still tells what it is."""
    return folder / f"{sum(1 for _ in folder.iterdir())}-{name.rsplit('/', 1)[-1]}"


def is_gzip(contract: Contract, file: DeliveredFile) -> bool:
    """Whether a file is compressed: as the contract says, else by its name."""
    return file.path.suffix == ".gz" if contract.compression is None else contract.compression == "gzip"


def csv_header(contract: Contract, file: DeliveredFile, encoding: str) -> tuple[str, ...]:
    """The header of a CSV file in UTF-8. Raises DeliveryError where it is no text or lacks a contracted column.

    ``encoding`` is what the file was delivered in.
    """
    opener = gzip.open if is_gzip(contract, file) else open
    try:
        with opener(file.path, "rb") as stream:
            start = stream.read(_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise DeliveryError(f"{file.name} cannot be opened: {error}") from error
    if not start.strip():
        raise DeliveryError(f"{file.name} is empty: not even a header line")
    line = start.splitlines()[0] if len(start) < _HEADER_BYTES or b"\n" in start else None
    if line is None:
        raise DeliveryError(f"{file.name} has no end of line within its first {_HEADER_BYTES:,} bytes")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DeliveryError(f"{file.name} is not {encoding} text (byte {error.start + 1} of its header)") from error
    if "\0" in text:
        raise DeliveryError(f"{file.name} is not {encoding} text: its header holds zero bytes")
    header = tuple(next(csv.reader(io.StringIO(text), delimiter=contract.delimiter, quotechar=contract.quote), []))
    header = tuple(name.strip() for name in header)
    check_repeated(file, header)
    check_header(contract, file, header)
    return header


def check_repeated(file: DeliveredFile, header: Iterable[str]) -> None:
    """Raise DeliveryError where two columns have one name, case aside."""
    names = [name for name in header if name]
    folded = [name.lower() for name in names]
    twice = sorted({name for name in names if folded.count(name.lower()) > 1})
    if twice:
        raise DeliveryError(f"{file.name} has column '{twice[0]}' more than once")


def parquet_schema(contract: Contract, file: DeliveredFile, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Type by column of a Parquet file. Raises DeliveryError where it is none or lacks a contracted column."""
    try:
        described = con.execute(f"describe select * from read_parquet({quote_text(file.path)})").fetchall()
    except duckdb.Error as error:
        raise DeliveryError(f"{file.name} is no readable Parquet file") from error
    schema = {row[0]: row[1] for row in described}
    if contract.source == "{source}":  # otherwise columns may come from what the file is joined with
        check_header(contract, file, tuple(schema))
    return schema


def check_header(contract: Contract, file: DeliveredFile, header: Sequence[str]) -> None:
    """Raise DeliveryError where ``header`` lacks a contracted column."""
    missing = [c.header for c in contract.columns if c.header is not None and c.header not in header]
    if missing:
        raise DeliveryError(
            f"{file.name} lacks column {_named(missing)}; its header is {_shown(header)}{_renamed(contract, missing, header)}"
        )


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)


def _shown(header: Sequence[str]) -> str:
    text = ", ".join(header)
    return text if len(text) <= 300 else text[:300] + " ..."


def _renamed(contract: Contract, missing: Sequence[str], header: Sequence[str]) -> str:
    """A guess at the new name, among the columns that the contract does not know."""
    from rapidfuzz import process, utils

    known = {c.header for c in contract.columns}
    strangers = [name for name in header if name not in known]
    best = process.extractOne(missing[0], strangers, processor=utils.default_process, score_cutoff=70)
    return f". Was '{missing[0]}' renamed to '{best[0]}'?" if best else ""


def _paths(files: Sequence[DeliveredFile]) -> str:
    return "[" + ", ".join(quote_text(f.path) for f in files) + "]"


def _reader_name(header: str, position: int) -> str:
    """What a source's column is called while it is read: not as the technical columns, and not nothing."""
    return f"{header or 'column'}_{position + 1}" if header.lower() in _TECHNICAL else header


def _text_options(contract: Contract, *, parallel: bool) -> str:
    return (
        f"auto_detect=false, filename='_path', compression={quote_text(contract.compression or 'auto')}, "
        f"max_line_size={MAX_LINE_BYTES}, store_rejects=true, parallel={parallel}"
    )


def _lines(contract: Contract, files: Sequence[DeliveredFile], *, parallel: bool) -> str:
    """SQL of a relation (line, _path) of the physical lines of text files; blank lines are null."""
    return (
        f"read_csv({_paths(files)}, {_text_options(contract, parallel=parallel)}, header=false, delim=chr(1), quote='', "
        "escape='', columns={'line': 'VARCHAR'}, null_padding=true, strict_mode=false)"
    )


def _csv(
    contract: Contract,
    files: Sequence[DeliveredFile],
    header: Sequence[str],
    number: str,
    *,
    parallel: bool,
    padded: bool,
) -> str:
    names = [_reader_name(name, i) for i, name in enumerate(header)]
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in [*names, *([_BEYOND] if padded else [])])
    none = f"nullstr={quote_text(_NEVER)}, null_padding=true" if padded else "nullstr=''"
    read = (
        f"read_csv({_paths(files)}, {_text_options(contract, parallel=parallel)}, header=true, "
        f"delim={quote_text(contract.delimiter)}, quote={quote_text(contract.quote)}, escape={quote_text(contract.quote)}, "
        f"columns={{{columns}}}, {none}, strict_mode=true)"
    )
    if not padded and not contract.null_text:
        return f"(select *, {number}, {FINE} as _malformed from {read})"
    # not by the reader's nullstr: it takes a field too many for none where that field is null
    flaw = f"case when {_BEYOND} is not null then {TOO_MANY} when {quote_name(names[-1])} is null then {MISSING} else {FINE} end"
    is_whole = f"{_BEYOND} is null and {quote_name(names[-1])} is not null"
    values = []
    for name in map(quote_name, names):
        value = f"nullif({name}, '')" if padded else name
        value = f"nullif({value}, {quote_text(contract.null_text)})" if contract.null_text else value
        values.append(f"case when {is_whole} then {value} end as {name}" if padded else f"{value} as {name}")
    return f"(select {', '.join(values)}, _path, {number}, {flaw if padded else FINE} as _malformed from {read})"


def _json_shape(headers: Sequence[str]) -> str:
    """The structure of the captured fields for json_transform; ``user.account`` is a field of an object."""
    shape: dict[str, object] = {}
    for header in headers:
        *parents, leaf = header.split(".")
        node = shape
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment]
        node[leaf] = "VARCHAR"
    return json.dumps(shape)


#: A number of a JSON line with more digits than a binary fraction holds.
_LONG_NUMBER = r"[0-9][0-9.]{15}"
_JSON_TOKEN = r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|(?s:.)'
#: Such numbers become texts, so that they are typed digit by digit.
_EXACT_LINE = (
    f"case when regexp_matches(line, {quote_text(_LONG_NUMBER)}) then array_to_string(list_transform("
    f"regexp_extract_all(line, {quote_text(_JSON_TOKEN)}), "
    "lambda token: case when length(token) > 16 and token[1] <> '\"' then '\"' || token || '\"' else token end), '') else line end"
)


#: Of two fields of one name, one reader takes the first, another the last.
_REPEATED_NAME = "coalesce(list_unique(try(json_keys(line))) <> len(try(json_keys(line))), false)"


def _json_records(contract: Contract, lines: str) -> str:
    shape = quote_text(_json_shape([c.header for c in contract.columns if c.header]))
    return (
        f"(select * replace (if(_fields is null or {_REPEATED_NAME}, {BROKEN}, {FINE}) as _malformed) from ("
        f"select *, try(json_transform({_EXACT_LINE}, {shape})) as _fields from {lines} where line is not null))"
    )


def source_relation(
    contract: Contract,
    files: Sequence[DeliveredFile],
    header: Sequence[str],
    landing: Path,
    *,
    numbered: bool,
    parallel: bool = True,
    padded: bool = False,
) -> str:
    """SQL (FROM item) of the files' records: the source's columns, ``_path``, ``_row`` and ``_malformed``.

    ``_row`` counts the readable records of a file from 1 where ``numbered``; a text file is then read by one thread.
    Files of one call have the same ``header``. DuckDB ignores empty fields too many at the end of a CSV record: ``padded``,
    it reads one field more, and a record that has it is malformed. Fields of several lines then allow one thread alone.
    """
    number = "cast(null as bigint) as _row"
    if numbered:
        number = "row_number() over () as _row"
        parallel = False
    if contract.format == "parquet":
        names = ", ".join(f"{quote_name(name)} as {quote_name(_reader_name(name, i))}" for i, name in enumerate(header))
        records = (
            f"(select {names}, _path, file_row_number + 1 as _row, {FINE} as _malformed "
            f"from read_parquet({_paths(files)}, filename='_path', file_row_number=true, hive_partitioning=false))"
        )
    elif contract.format in CONVERTED:
        records = (
            f"(select * exclude (_line, _is_broken), _line as _row, if(_is_broken, {BROKEN}, {FINE}) as _malformed "
            f"from read_parquet({_paths(files)}, filename='_path', union_by_name=false, hive_partitioning=false))"
        )
    else:
        is_csv = contract.format == "csv"
        if is_csv:
            read = _csv(contract, files, header, number, parallel=parallel, padded=padded)
        else:
            lines = _lines(contract, files, parallel=parallel)
            read = f"(select *, {number}, {FINE} as _malformed from {lines})"
        if numbered and len(files) > 1:
            read = f"(select * replace (_row - min(_row) over (partition by _path) + 1 as _row) from {read})"
        records = read if is_csv else _json_records(contract, read)
    return contract.source.replace("{source}", f"{records} as source").replace("{landing}", str(landing))


def source_value(contract: Contract, header: str, position: int) -> str:
    """SQL of one source field by its header, which stands at ``position`` of the file's header."""
    if contract.format != "jsonl":
        return quote_name(header if contract.format in CONVERTED else _reader_name(header, position))
    value = "_fields." + ".".join(quote_name(part) for part in header.split("."))
    for null in ("", contract.null_text):
        value = value if null is None else f"nullif({value}, {quote_text(null)})"
    return value
