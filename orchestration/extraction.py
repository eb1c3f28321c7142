"""Extraction: the deliveries of a window of days -> typed Parquet per day, quarantine and row accounting.

All files of a window with the same header are read by one SQL statement: it types each column, evaluates
every rule of the contract into the bits of ``_violations`` and writes Parquet partitioned by delivery day.
Only days in which something was wrong are written a second time, without the bad rows.
"""

import re
import shutil
import uuid
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb

from orchestration import drift, profiling, quarantine, raw_zone
from orchestration.contracts import Contract, ContractError
from orchestration.raw_zone import Partition
from orchestration.rules import CONFLICT, MALFORMED, quote_name, quote_text
from orchestration.settings import Settings
from orchestration.sources import deliveries
from orchestration.sources import files as source_files
from orchestration.sources.files import DeliveredFile, DeliveryError
from orchestration.sources.typing import typed
from orchestration.warehouse import connect_scratch


@dataclass
class _Window:
    """What is known of a window while it is being loaded."""

    contract: Contract
    files: dict[date, tuple[DeliveredFile, ...]]
    failures: dict[date, str] = field(default_factory=dict)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prints: dict[date, str] = field(default_factory=dict)
    known: Mapping[date, Partition] = field(default_factory=dict)
    accept_drift: bool = False

    def readable(self) -> list[DeliveredFile]:
        return [f for day, found in self.files.items() if day not in self.failures for f in found]


def extract(
    settings: Settings,
    contract: Contract,
    days: Sequence[date],
    *,
    accept_missing: bool = False,
    accept_drift: bool = False,
) -> dict[date, Partition]:
    """Load the deliveries of ``days`` into the raw zone, all at once, and return the partitions.

    A day that cannot be accepted (missing, unreadable, too many bad rows) carries its ``failure`` and leaves
    the last good delivery of that day in place. A day whose files are gone from the landing folder keeps the last
    good delivery too, and is no longer failed; with ``accept_missing``, a required delivery that is not there is taken
    for an empty one, with ``accept_drift`` one that is not as usual is taken as it is. Raises ContractError where the
    contract itself does not fit the source, SourceError where a server cannot be reached or refuses us.
    """
    known = raw_zone.partitions(settings, contract.table)
    delivered = deliveries.discover(settings, contract, days)
    results: dict[date, Partition] = {}
    window = _Window(contract, {}, known=known, accept_drift=accept_drift)
    for day in days:
        if delivered.get(day):
            window.files[day] = delivered[day]
        elif day in known and (good := known[day].good) is not None:  # a broken delivery withdrawn: the last good one
            results[day] = good
        elif contract.required and not accept_missing and not contract.server.is_table:
            results[day] = Partition(
                day,
                failure=f"no delivery of {contract.table} for {day}: nothing at {_place(settings, contract)} "
                "(if nothing was to come, run the day with --accept-missing)",
            )
        else:
            results[day] = Partition(day, contract_version=contract.version)
    changed = {day: p for day, p in results.items() if day not in known or known[day] != p}
    if window.files:
        loaded = _load(settings, window)
        results |= loaded
        changed |= loaded
    if changed:
        raw_zone.commit(settings, contract.table, changed)
    return dict(sorted(results.items()))


def _place(settings: Settings, contract: Contract) -> str:
    server = contract.server
    return f"{server.place} in {settings.landing_dir}" if server.type == "local" else server.place


def pending_days(settings: Settings, contracts: Mapping[str, Contract], through: date | None = None) -> list[date]:
    """Delivery days with files that the raw zone does not hold as they are: new, changed or failed before.

    A changed contract makes no day pending: older files may have the older header. ``raw_zone.stale_days`` tells them.
    """
    pending: set[date] = set()
    for contract in contracts.values():
        known = raw_zone.partitions(settings, contract.table)
        for day, found in deliveries.discover_changes(settings, contract, known).items():
            partition = known.get(day)
            if partition is None or partition.fingerprint != source_files.fingerprint(found):
                pending.add(day)
        pending.update(day for day, p in known.items() if not p.loaded)
    return sorted(d for d in pending if d >= settings.first_day and (through is None or d <= through))


def _load(settings: Settings, window: _Window) -> dict[date, Partition]:
    scratch = raw_zone.scratch_dir(settings) / f"{window.contract.table}-{uuid.uuid4().hex}"
    scratch.mkdir(parents=True)
    try:
        with connect_scratch(settings, scratch) as con:
            return _load_with(settings, window, scratch, con)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _load_with(
    settings: Settings, window: _Window, scratch: Path, con: duckdb.DuckDBPyConnection
) -> dict[date, Partition]:
    contract = window.contract
    window.prints = {day: source_files.fingerprint(found) for day, found in window.files.items()}
    fetched = deliveries.fetch(settings, contract, window.files, scratch / "fetched", con)
    window.files, window.failures, window.headers = fetched.files, fetched.failures, fetched.headers
    _check_files(window, con)
    _register(con, window.readable())
    staged = scratch / "staged"
    _stage(settings, window, staged, con)
    profile = profiling.profile(con, contract, staged, error_mask(contract))
    rejected = quarantine.rejected_by_day(con)
    elsewhere = dict(con.execute("select _delivery_date, sum(rows)::bigint from elsewhere group by all").fetchall())
    clashing = profiling.days_with_repeated_keys(con, contract, staged, error_mask(contract))
    dirty = sorted({d for d, p in profile.items() if p.bad_rows} | set(rejected) | clashing)
    cleaned, bad = scratch / "cleaned", scratch / "quarantine"
    outcome = quarantine.separate(
        con, contract, staged, cleaned, bad, dirty, window.readable(), _rule_names(contract), error_mask(contract)
    )
    for day in dirty:
        shutil.rmtree(staged / f"delivery_date={day}", ignore_errors=True)
        if (cleaned / f"delivery_date={day}").exists():
            (cleaned / f"delivery_date={day}").rename(staged / f"delivery_date={day}")
    partitions = {
        day: Partition(day, failure=reason, fingerprint=window.prints[day]) for day, reason in window.failures.items()
    }
    past = ChainMap(partitions, dict(window.known))
    for day in sorted(d for d in window.files if d not in window.failures):
        partition = _account(
            window, day, profile.get(day), outcome.get(day), rejected.get(day, 0), elsewhere.get(day, 0)
        )
        partitions[day] = drift.hold(contract, partition, past, accept=window.accept_drift)
        if not partitions[day].loaded:
            shutil.rmtree(staged / f"delivery_date={day}", ignore_errors=True)
    held = profiling.sums(con, contract, staged)
    token = scratch.name.rsplit("-", 1)[1][:12]
    data = raw_zone.adopt(staged, settings.raw_dir / contract.table, token)
    kept = raw_zone.adopt_private(settings, bad, contract.table, token)
    return {
        day: replace(p, data=data.get(day, ()), quarantine=kept.get(day, ()), held=held.get(day, {}))
        for day, p in sorted(partitions.items())
    }


def _register(con: duckdb.DuckDBPyConnection, files: Sequence[DeliveredFile]) -> None:
    """Table ``delivered``: path, name and delivery day of every file of the window."""
    con.execute("create temp table delivered (path varchar, name varchar, delivery_day date)")
    con.execute(
        "insert into delivered select unnest($1), unnest($2), unnest($3)",
        [[str(f.path) for f in files], [f.name for f in files], [f.day for f in files]],
    )
    con.execute("create temp table rejected (_delivery_date date, path varchar, record bigint, reason varchar)")
    con.execute("create temp table elsewhere (_delivery_date date, rows bigint)")


def error_mask(contract: Contract) -> int:
    """The bits of ``_violations`` that send a row to quarantine."""
    return sum(1 << i for i, rule in enumerate(contract.rules) if rule.severity == "error") | 1 << len(contract.rules)


def _rule_names(contract: Contract) -> list[str]:
    return [rule.name for rule in contract.rules] + [MALFORMED]


def _check_files(window: _Window, con: duckdb.DuckDBPyConnection) -> None:
    if window.contract.format in source_files.CONVERTED:  # checked while they were converted
        return
    for day, found in window.files.items():
        if day in window.failures:
            continue
        for file in found:
            try:
                source_files.check_whole(window.contract, file)
                if window.contract.format == "csv":
                    window.headers[file.name] = source_files.csv_header(window.contract, file)
                elif window.contract.format == "parquet":
                    schema = source_files.parquet_schema(window.contract, file, con)
                    window.headers[file.name], window.types[file.name] = tuple(schema), tuple(schema.values())
            except DeliveryError as error:
                window.failures.setdefault(day, str(error))


def _stage(settings: Settings, window: _Window, staged: Path, con: duckdb.DuckDBPyConnection) -> None:
    """Write all readable files of the window as typed Parquet; a file that breaks the reader fails its day."""
    staged.mkdir()
    # a reader of many Parquet files gives them all the types of the first
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[DeliveredFile]] = {}
    for file in window.readable():
        groups.setdefault((window.headers.get(file.name, ()), window.types.get(file.name, ())), []).append(file)
    for number, ((header, _), files) in enumerate(groups.items()):
        try:
            _stage_group(settings, window.contract, files, header, staged, number, con)
        except (duckdb.CatalogException, duckdb.ParserException) as error:
            raise ContractError(
                f"{window.contract.file}: does not fit {files[0].name}: {_first_line(error)}"
            ) from error
        except duckdb.Error as error:
            unreadable = _unreadable(settings, window.contract, files, header, con)
            if not unreadable:
                raise DeliveryError(f"{window.contract.table}: cannot be read: {_first_line(error)}") from error
            window.failures.update({f.day: reason for f, reason in unreadable.items() if f.day not in window.failures})
            shutil.rmtree(staged)
            quarantine.forget_rejected(con)
            con.execute("delete from elsewhere")
            return _stage(settings, window, staged, con)
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _unreadable(
    settings: Settings,
    contract: Contract,
    files: Sequence[DeliveredFile],
    header: Sequence[str],
    con: duckdb.DuckDBPyConnection,
) -> dict[DeliveredFile, str]:
    """The files that cannot be read to their end, each with the reason; values are left out of it."""
    reasons: dict[DeliveredFile, str] = {}
    for file in files:
        try:
            query = staging_query(settings, contract, [file], header, con)
            con.execute(f"select count(columns(*)) from ({query})").fetchall()
        except duckdb.BinderException as error:
            reasons[file] = f"{file.name} does not fit {contract.file.name}: {_first_line(error)}"
        except duckdb.Error as error:
            reason = re.sub(r"'[^']*'|\"[^\"]*\"", "...", _first_line(error))
            if "state machine" in reason:
                reason = "its lines end in more than one way (CR, LF, CR LF)"
            reasons[file] = f"{file.name} cannot be read to its end as {contract.format}: {reason}"
    return reasons


def _stage_group(
    settings: Settings,
    contract: Contract,
    files: Sequence[DeliveredFile],
    header: Sequence[str],
    staged: Path,
    number: int,
    con: duckdb.DuckDBPyConnection,
) -> None:
    days = {f.day for f in files}
    records = _records(settings, contract, files, header)
    if contract.where is not None:  # read once: the rows left to other tables are counted, the others judged
        con.execute(f"create or replace temp table records as select * from {records}")
        con.execute(
            "insert into elsewhere select _delivery_date, count(*) from records "
            f"where not ({_belongs(contract)}) group by _delivery_date"
        )
        records = "records"
    query = _judging(contract, records, con)
    if len(days) == 1:
        folder = staged / f"delivery_date={min(days)}"
        folder.mkdir(exist_ok=True)
        con.execute(f"copy ({query}) to {quote_text(folder / f'{number}.parquet')} (format parquet)")
    else:
        con.execute(
            f"copy (select *, _delivery_date as delivery_date from ({query})) to {quote_text(staged)} (format parquet, "
            f"partition_by (delivery_date), filename_pattern 'part-{number}-{{i}}', overwrite_or_ignore true)"
        )
    quarantine.keep_rejected(con)


def staging_query(
    settings: Settings,
    contract: Contract,
    files: Sequence[DeliveredFile],
    header: Sequence[str],
    con: duckdb.DuckDBPyConnection,
) -> str:
    """The one statement that reads, types and judges the records of ``files`` (same header)."""
    return _judging(contract, _records(settings, contract, files, header), con)


def _records(settings: Settings, contract: Contract, files: Sequence[DeliveredFile], header: Sequence[str]) -> str:
    """SQL (FROM item) of the records of ``files``: the source's columns, ``_file``, ``_delivery_date``, ``_row``."""
    relation = source_files.source_relation(contract, files, header, settings.landing_dir)
    return (
        f"(select * exclude (_path) from (select * from {relation}) join "
        "(select path as _path, name as _file, delivery_day as _delivery_date from delivered) using (_path))"
    )


def _belongs(contract: Contract) -> str:
    """SQL that is false for a record that the contract leaves to other tables; what cannot be told is kept and judged."""
    return "true" if contract.where is None else f"_malformed or coalesce(({contract.where}), true)"


def _judging(contract: Contract, records: str, con: duckdb.DuckDBPyConnection) -> str:
    captured = [c for c in contract.columns if c.captured]
    sources = [c.expression or source_files.source_value(contract, str(c.header)) for c in captured]
    fields = ", ".join(f"{source} as __{i}" for i, source in enumerate(sources))
    # an expression sees the records of this table only, so that it may look at the neighbours of a record (over)
    raw = f"select {fields}, _row, _malformed, _file, _delivery_date from {records} where {_belongs(contract)}"
    types = {row[0]: row[1] for row in con.execute(f"describe {raw}").fetchall()}
    values, violations = {}, {}
    for i, column in enumerate(captured):
        result = typed(column, contract, f"__{i}", types[f"__{i}"])
        values[column.name], violations[column.name] = result.value, (result.violation, f"__{i} is null")
    typed_columns = ", ".join(
        f"cast({values.get(c.name, 'null')} as {c.sql_type}) as {quote_name(c.name)}" for c in contract.columns
    )
    conditions = []
    for rule in contract.rules:
        of_type, missing = violations.get(rule.column or "", ("false", "false"))
        conditions.append(rule.violation.replace("{type_violation}", of_type).replace("{missing}", missing))
    # a record that could not be split breaks no rule but that one
    bits = " + ".join(f"case when {c} then {1 << i} else 0 end" for i, c in enumerate(conditions)) or "0"
    names = ", ".join(quote_name(c.name) for c in contract.columns)
    return (
        f"select {names}, _delivery_date, _file, _row, "
        f"cast(case when _malformed then {1 << len(conditions)} else {bits} end as bigint) as _violations "
        f"from (select *, {typed_columns} from ({raw}))"
    )


def _account(
    window: _Window,
    day: date,
    profile: profiling.DayProfile | None,
    outcome: quarantine.Outcome | None,
    rejected: int,
    elsewhere: int,
) -> Partition:
    contract = window.contract
    staged_rows = profile.rows if profile else 0
    quarantined = outcome.quarantined if outcome else 0
    duplicates = outcome.duplicates if outcome else 0
    read = staged_rows + rejected
    violations = dict(profile.violations) if profile else {}
    if rejected:
        violations[MALFORMED] = violations.get(MALFORMED, 0) + rejected
    if outcome and outcome.conflicts:
        violations[CONFLICT] = outcome.conflicts
    failure = None
    if not contract.tolerates(read, quarantined):
        worst = sorted(violations.items(), key=lambda item: (-item[1], item[0]))[:3]
        failure = (
            f"{contract.table} of {day}: {quarantined:,} of {read:,} rows are bad, more than the tolerated "
            f"{contract.tolerated_share:.1%} or {contract.tolerated_rows} rows ({', '.join(f'{n} {c:,}' for n, c in worst)})"
        )
    accepted = read - quarantined - duplicates
    captured = {c.header for c in contract.columns if c.header}
    return Partition(
        day=day,
        rows_read=read + elsewhere,
        rows_loaded=0 if failure else accepted,
        rows_quarantined=quarantined,
        rows_duplicate=duplicates,
        rows_elsewhere=elsewhere,
        rows_refused=accepted if failure else 0,
        violations=violations,
        profile=profile.columns if profile else {},
        uncaptured=_uncaptured(window, day, captured),
        fingerprint=window.prints[day],
        contract_version=contract.version,
        contract_content=contract.content,
        failure=failure,
    )


def _uncaptured(window: _Window, day: date, captured: set[str]) -> tuple[str, ...]:
    """Headers that the delivery has and the contract does not name: reported, never loaded."""
    contract = window.contract
    expressions = " ".join([contract.source, contract.where or "", *(c.expression or "" for c in contract.columns)])
    headers = {name for file in window.files[day] for name in window.headers.get(file.name, ())}
    return tuple(sorted(name for name in headers - captured if name not in expressions))
