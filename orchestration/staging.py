"""Staging: the records of a window's files, typed and judged, as Parquet per delivery day.

All files of a window with the same header are read by one SQL statement: it types each column, evaluates
every rule of the contract into the bits of ``_violations`` and writes Parquet partitioned by delivery day. The records read
are compared with the lines of the files, counted by other means: DuckDB's reader loses rows in silence when quotes are broken.
"""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb

from orchestration import disk, quarantine
from orchestration.contracts import Contract, ContractError, is_utf8
from orchestration.profiling import staged_relation
from orchestration.raw_zone import Partition
from orchestration.rules import quote_name, quote_text
from orchestration.settings import Settings
from orchestration.sources import deliveries, text
from orchestration.sources import files as source_files
from orchestration.sources.files import TEXT, DeliveredFile, DeliveryError
from orchestration.sources.lines import places as places_of
from orchestration.sources.typing import TypedValue, typed
from orchestration.warehouse import connect_scratch


@dataclass(frozen=True)
class _Group:
    """Files that one statement can read: they have the same header and the same types."""

    header: tuple[str, ...]
    files: list[DeliveredFile]
    padded: bool = False


@dataclass
class Window:
    """What is known of a window of days while it is being loaded."""

    contract: Contract
    files: dict[date, tuple[DeliveredFile, ...]]
    failures: dict[date, str] = field(default_factory=dict)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prints: dict[date, str] = field(default_factory=dict)
    lines: dict[str, text.Lines] = field(default_factory=dict)
    one_line: set[str] = field(default_factory=set)
    known: Mapping[date, Partition] = field(default_factory=dict)
    accept_drift: bool = False
    parallel: bool = True

    def readable(self) -> list[DeliveredFile]:
        """The files of the days that have not failed."""
        return [f for day, found in self.files.items() if day not in self.failures for f in found]

    def groups(self, days: Collection[date] | None = None) -> list[_Group]:
        """The readable files (of ``days``), each with those that are read together with it."""
        groups: dict[tuple[tuple[str, ...], tuple[str, ...], bool], list[DeliveredFile]] = {}
        for file in self.readable():
            if days is None or file.day in days:
                padded = file.name in self.lines and self.lines[file.name].with_open_ends
                kind = (self.headers.get(file.name, ()), self.types.get(file.name, ()), padded)
                groups.setdefault(kind, []).append(file)
        return [_Group(header, files, padded) for (header, _, padded), files in groups.items()]


def fetch(settings: Settings, window: Window, folder: Path, con: duckdb.DuckDBPyConnection) -> None:
    """Bring the files of a window onto this machine and look at each: a file that cannot be read fails its day."""
    contract = window.contract
    fetched = deliveries.fetch(settings, contract, window.files, folder, con)
    window.files, window.failures, window.headers = fetched.files, fetched.failures, fetched.headers
    if contract.format in TEXT and not is_utf8(contract.encoding):
        window.contract = replace(contract, encoding="utf-8", compression="none")
    for day, found in window.files.items():
        if day in window.failures:
            continue
        for file in found:
            try:
                if contract.format in TEXT:
                    is_utf8_already = is_utf8(contract.encoding)
                    window.lines[file.name] = text.count_lines(window.contract, file, as_delivered=is_utf8_already)
                if contract.format == "csv":
                    window.headers[file.name] = source_files.csv_header(window.contract, file, contract.encoding)
                elif contract.format == "parquet":
                    schema = source_files.parquet_schema(contract, file, con)
                    window.headers[file.name], window.types[file.name] = tuple(schema), tuple(schema.values())
            except DeliveryError as error:
                window.failures.setdefault(day, str(error))


def stage(settings: Settings, window: Window, staged: Path, con: duckdb.DuckDBPyConnection) -> bool:
    """Write all readable files of a window as typed Parquet; False where something failed: stage the others anew.

    ``con`` is then of no more use: an error within DuckDB ends its database.
    """
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    _register(con, window.readable())
    for number, group in enumerate(window.groups()):
        try:
            with _all_columns(con):
                _stage_group(settings, window, group, staged, number, con)
        except (duckdb.CatalogException, duckdb.ParserException) as error:
            raise ContractError(
                f"{window.contract.file}: does not fit {group.files[0].name}: {_first_line(error)}"
            ) from error
        except duckdb.Error as error:
            _explain(settings, window, group, staged.parent, error)
            return False
    return _all_counted(window, staged, con)


def _register(con: duckdb.DuckDBPyConnection, files: Sequence[DeliveredFile]) -> None:
    """Table ``delivered``: path, name and delivery day of every file of the window."""
    con.execute("create temp table delivered (path varchar, name varchar, delivery_day date)")
    con.execute(
        "insert into delivered select unnest($1), unnest($2), unnest($3)",
        [[str(f.path) for f in files], [f.name for f in files], [f.day for f in files]],
    )
    con.execute("create temp table rejected (_delivery_date date, path varchar, record bigint, reason varchar)")
    con.execute("create temp table elsewhere (name varchar, rows bigint)")


@contextmanager
def _all_columns(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within, a scan reads all columns of a file: DuckDB 1.5 fails on bytes that are no UTF-8 in a column it leaves out."""
    con.execute("set disabled_optimizers = 'unused_columns'")
    yield
    con.execute("reset disabled_optimizers")


def _explain(settings: Settings, window: Window, group: _Group, scratch: Path, error: duckdb.Error) -> None:
    """Note why the days of a group failed: those whose file cannot be read by itself, else all of them.

    A full disk is no fault of a delivery: it is raised again.
    """
    if disk.filled_it(error):
        raise error
    if group.padded and window.parallel:  # fields of several lines: one thread alone can read them so
        window.parallel = False
        return
    unreadable = _unreadable(settings, window, group, scratch)
    if unreadable:
        window.failures.update({f.day: reason for f, reason in unreadable.items() if f.day not in window.failures})
    elif isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)):
        raise DeliveryError(f"{window.contract.table}: cannot be read: {_first_line(error)}") from error
    elif window.parallel and window.contract.format in TEXT:
        window.parallel = False
    else:
        window.failures.update({f.day: f"{f.name} cannot be read: {_hidden(error)}" for f in group.files})


def _unreadable(settings: Settings, window: Window, group: _Group, scratch: Path) -> dict[DeliveredFile, str]:
    """The files that cannot be read to their end, each with the reason; values are left out of it."""
    reasons: dict[DeliveredFile, str] = {}
    contract = window.contract
    for file in group.files:
        try:
            with connect_scratch(settings, scratch) as con, _all_columns(con):
                _register(con, [file])
                query = _query(settings, window, replace(group, files=[file]), con)
                con.execute(f"select count(columns(*)) from ({query})").fetchall()
        except duckdb.BinderException as error:
            reasons[file] = f"{file.name} does not fit {contract.file.name}: {_first_line(error)}"
        except duckdb.Error as error:
            reason = _hidden(error)
            if "state machine" in reason:
                reason = "its lines end in more than one way (CR, LF, CR LF)"
            reasons[file] = f"{file.name} cannot be read to its end as {contract.format}: {reason}"
    return reasons


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _hidden(error: Exception) -> str:
    """The first line of an error without the values of a row."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "...", _first_line(error))


def _stage_group(
    settings: Settings, window: Window, group: _Group, staged: Path, number: int, con: duckdb.DuckDBPyConnection
) -> None:
    days = {f.day for f in group.files}
    query = _query(settings, window, group, con)
    if len(days) == 1:
        folder = staged / f"delivery_date={min(days)}"
        folder.mkdir(exist_ok=True)
        con.execute(
            f"copy (select * exclude (_row) from ({query})) to {quote_text(folder / f'{number}.parquet')} (format parquet)"
        )
    else:
        con.execute(
            f"copy (select * exclude (_row), _delivery_date as delivery_date from ({query})) to {quote_text(staged)} "
            f"(format parquet, partition_by (delivery_date), filename_pattern 'part-{number}-{{i}}', overwrite_or_ignore true)"
        )
    quarantine.keep_rejected(con)
    if window.contract.where is not None:
        con.execute(
            f"insert into elsewhere select _file, count(*) from {_records(settings, window, group)} "
            f"where not ({_belongs(window.contract)}) group by _file"
        )
        quarantine.forget_scan(con)


def _all_counted(window: Window, staged: Path, con: duckdb.DuckDBPyConnection) -> bool:
    """Whether every record of every text file was read; a file with another number of records fails its day."""
    contract = window.contract
    if contract.format not in TEXT or contract.source != "{source}":  # a join makes rows of its own
        return True
    counts = ["select name, count(*) as rows from rejected join delivered using (path) group by name"]
    counts.append("select name, rows from elsewhere")
    if any(staged.glob("*/*.parquet")):
        counts.append(f"select _file as name, count(*) as rows from {staged_relation(staged)} group by _file")
    read = dict(
        con.execute(f"select name, sum(rows)::bigint from ({' union all '.join(counts)}) group by name").fetchall()
    )
    is_csv, wrong = contract.format == "csv", dict[date, str]()
    for file in window.readable():
        # a file without blank lines and without fields of several lines needs no closer look
        rows, expected = read.get(file.name, 0), max(window.lines[file.name].count - is_csv, 0)
        if rows == expected:
            window.one_line.add(file.name)
        else:
            expected = sum(not (p.is_blank or (is_csv and p.record == 1)) for p in places_of(contract, file))
        if rows != expected:
            wrong[file.day] = (
                f"{file.name} holds {expected:,} records, but {rows:,} can be told apart: look for quotes that are not closed"
            )
    if wrong and window.parallel:
        window.parallel = False
    else:
        window.failures.update(wrong)
    return not wrong


def numbered(
    settings: Settings, window: Window, days: Collection[date], broken: Collection[str], con: duckdb.DuckDBPyConnection
) -> Iterator[str]:
    """SQL of the staged rows of ``days`` with their number in their file (``_row``), one statement per kind of file.

    Only the rules named in ``broken`` are judged again; of the columns, what the reading of the statement leaves out costs
    nothing.
    """
    refused = con.execute("select 1 from rejected limit 1").fetchall()
    for group in window.groups(days):
        with _all_columns(con) if refused else nullcontext():
            records = _records(settings, window, group, numbered=True)
            yield _judging(window.contract, group.header, records, con, broken)
        quarantine.forget_scan(con)


def _needs_numbers(contract: Contract) -> bool:
    """Whether the contract itself asks for the number of a record."""
    parts = [contract.source, contract.where or "", *(c.expression or "" for c in contract.columns)]
    return any(re.search(r"\b_row\b", part) for part in [*parts, *(r.violation for r in contract.row_rules)])


def _query(settings: Settings, window: Window, group: _Group, con: duckdb.DuckDBPyConnection) -> str:
    """The one statement that reads, types and judges the records of a group."""
    return _judging(window.contract, group.header, _records(settings, window, group), con)


def _records(settings: Settings, window: Window, group: _Group, *, numbered: bool = False) -> str:
    """SQL (FROM item) of the records of a group: the source's columns, ``_file``, ``_delivery_date``, ``_row``."""
    relation = source_files.source_relation(
        window.contract,
        group.files,
        group.header,
        settings.landing_dir,
        numbered=numbered or _needs_numbers(window.contract),
        parallel=window.parallel,
        padded=group.padded,
    )
    return (
        f"(select * exclude (_path) from (select * from {relation}) join "
        "(select path as _path, name as _file, delivery_day as _delivery_date from delivered) using (_path))"
    )


def _belongs(contract: Contract) -> str:
    """SQL that is false for a record that the contract leaves to other tables; what cannot be told is kept and judged."""
    return "true" if contract.where is None else f"_malformed <> 0 or coalesce(({contract.where}), true)"


@dataclass(frozen=True)
class _Raw:
    """SQL of the records of one table with the captured columns untyped (``__0``, ``__1``, ...); how to type each, from what."""

    query: str
    results: dict[str, TypedValue]
    types: dict[str, str]
    places: dict[str, str]


def _raw(contract: Contract, header: Sequence[str], records: str, con: duckdb.DuckDBPyConnection) -> _Raw:
    captured = [c for c in contract.columns if c.captured]
    places = {name: position for position, name in enumerate(header)}
    sources = [
        c.expression or source_files.source_value(contract, str(c.header), places.get(str(c.header), 0))
        for c in captured
    ]
    fields = ", ".join(f"{source} as __{i}" for i, source in enumerate(sources))
    # an expression sees the records of this table only, so that it may look at the neighbours of a record (over)
    query = f"select {fields}, _row, _malformed, _file, _delivery_date from {records} where {_belongs(contract)}"
    described = {row[0]: row[1] for row in con.execute(f"describe {query}").fetchall()}
    names = {c.name: f"__{i}" for i, c in enumerate(captured)}
    types = {c.name: described[names[c.name]] for c in captured}
    return _Raw(query, {c.name: typed(c, contract, names[c.name], types[c.name]) for c in captured}, types, names)


def _judging(
    contract: Contract,
    header: Sequence[str],
    records: str,
    con: duckdb.DuckDBPyConnection,
    judged: Collection[str] | None = None,
) -> str:
    raw = _raw(contract, header, records, con)
    typed_columns = ", ".join(
        f"cast({raw.results[c.name].value if c.captured else 'null'} as {c.sql_type}) as {quote_name(c.name)}"
        for c in contract.columns
    )
    conditions = []
    for rule in contract.rules:
        of_type, missing = "false", "false"
        if rule.column in raw.results:
            of_type, missing = raw.results[rule.column].violation, f"{raw.places[rule.column]} is null"
        conditions.append(rule.violation.replace("{type_violation}", of_type).replace("{missing}", missing))
    # a record that could not be split breaks no rule but that one
    bits = " + ".join(
        f"case when {condition} then {1 << i} else 0 end"
        for i, (rule, condition) in enumerate(zip(contract.rules, conditions, strict=True))
        if judged is None or rule.name in judged
    )
    names = ", ".join(quote_name(c.name) for c in contract.columns)
    return (
        f"select {names}, _delivery_date, _file, _row, "
        f"cast(case when _malformed <> 0 then _malformed * {1 << len(conditions)} else {bits or 0} end as bigint) as _violations "
        f"from (select *, {typed_columns} from ({raw.query}))"
    )


#: The form of a value and none of its content: letters are A, digits 9.
_FORM = (
    r"regexp_replace(regexp_replace(regexp_replace(left(cast({0} as varchar), 30), '\p{{L}}', 'A', 'g'), "
    r"'\p{{N}}', '9', 'g'), '[^A9 .,:;/+_()%\-]', '?', 'g')"
)


def delivered_forms(
    settings: Settings, window: Window, columns: Mapping[date, Collection[str]], con: duckdb.DuckDBPyConnection
) -> dict[tuple[date, str], str]:
    """What was delivered in place of the declared type, by day and column: the most frequent form, its share, its file."""
    counted: dict[tuple[date, str], dict[tuple[str, str, str], int]] = {}
    for group in window.groups(columns):
        raw = _raw(window.contract, group.header, _records(settings, window, group), con)
        for name in sorted({name for f in group.files for name in columns[f.day]}):
            form = _FORM.format(raw.places[name])
            with _all_columns(con):
                found = con.execute(
                    f"select _delivery_date, {form} as form, _file, count(*) from ({raw.query}) "
                    f"where _malformed = 0 and ({raw.results[name].violation}) group by all"
                ).fetchall()
            quarantine.forget_scan(con)
            for day, shape, file, rows in found:
                counted.setdefault((day, name), {})[shape, file, raw.types[name]] = rows
    return {key: _most_frequent(forms) for key, forms in counted.items()}


def _most_frequent(forms: Mapping[tuple[str, str, str], int]) -> str:
    by_form: dict[str, int] = {}
    for (form, _, _), rows in forms.items():
        by_form[form] = by_form.get(form, 0) + rows
    best = min(by_form, key=lambda form: (-by_form[form], form))
    _, file, sql_type = min((k for k in forms if k[0] == best), key=lambda k: (-forms[k], k))
    total = sum(by_form.values())
    as_type = "" if sql_type == "VARCHAR" else f"as {sql_type} "
    return f"{total:,} rows hold something else, {by_form[best] / total:.1%} of them {as_type}like '{best}' ({file})"
