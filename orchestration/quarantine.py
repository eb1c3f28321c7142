"""Quarantine: bad rows leave the delivery with their rule, key, file, line and raw text.

A reader counts records, people open files at a line: the files that hold a bad row are read once more, to map
records to physical lines (``sources.lines``).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from orchestration.contracts import Contract
from orchestration.profiling import staged_relation
from orchestration.rules import CONFLICT, MALFORMED, quote_name, quote_text
from orchestration.sources.files import CONVERTED, MISSING, TOO_MANY, DeliveredFile, DeliveryError
from orchestration.sources.lines import places, texts


@dataclass(frozen=True)
class Outcome:
    """Rows taken out of one delivery day; ``conflicts`` of the quarantined share a key and differ."""

    quarantined: int
    duplicates: int
    conflicts: int


def keep_rejected(con: duckdb.DuckDBPyConnection) -> None:
    """Move the records that the reader refused in its last scan into table ``rejected``."""
    tables = {name for (name,) in con.execute("select table_name from duckdb_tables() where temporary").fetchall()}
    if "reject_errors" not in tables:
        return
    con.execute("""
        insert into rejected
        select any_value(delivered.delivery_day), file_path, line, min(error_type::varchar)
        from reject_errors join reject_scans using (scan_id, file_id) join delivered on delivered.path = file_path
        group by file_path, line
    """)
    forget_scan(con)


def forget_scan(con: duckdb.DuckDBPyConnection) -> None:
    """Drop what the reader refused in its last scan: another scan of the same files has told it."""
    con.execute("drop table if exists reject_errors")
    con.execute("drop table if exists reject_scans")


def rejected_by_day(con: duckdb.DuckDBPyConnection) -> dict[date, int]:
    """Records per delivery day that could not be split into fields."""
    return dict(con.execute("select _delivery_date, count(*) from rejected group by all").fetchall())


def days_with_repeated_keys(
    con: duckdb.DuckDBPyConnection, contract: Contract, staged: Path, error_mask: int
) -> set[date]:
    """Days in which two good rows share the primary key; table ``repeated_keys`` holds the hashes of these keys."""
    con.execute("create temp table repeated_keys (_delivery_date date, _key ubigint)")
    if not contract.key or not any(staged.glob("*/*.parquet")):
        return set()
    # hashes are small and of one size; that two keys share one only makes their rows be compared
    con.execute(
        f"insert into repeated_keys select _delivery_date, {_hash(contract.key)} from {staged_relation(staged)} "
        f"where _violations & {error_mask} = 0 group by all having count(*) > 1"
    )
    return {day for (day,) in con.execute("select distinct _delivery_date from repeated_keys").fetchall()}


def _hash(names: Sequence[str]) -> str:
    return f"hash({', '.join(map(quote_name, names))})"


def separate(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    staged: Path,
    cleaned: Path,
    bad: Path,
    days: Sequence[date],
    files: Sequence[DeliveredFile],
    rule_names: Sequence[str],
    error_mask: int,
    numbered: Callable[[], Iterable[str]],
    one_line: Collection[str] = (),
) -> dict[date, Outcome]:
    """Write the good rows of ``days`` to ``cleaned`` and the bad ones to ``bad``, Parquet per day.

    Of rows equal in every contracted column one is kept, the rest are declared duplicates. Rows of one day
    that share a key and differ are all bad: no rule could say which is right. ``numbered`` gives SQL of the same rows
    with ``_row``: it is asked only for days with bad rows, since numbering lets one thread alone read a file. In the files
    named in ``one_line`` every line is one record.
    """
    cleaned.mkdir()
    bad.mkdir()
    if not days:
        return {}
    key = ", ".join(map(quote_name, contract.key))
    content = _hash([c.name for c in contract.columns])
    con.execute("create temp table conflicts (_delivery_date date, _key ubigint)")
    con.execute("create temp table verdicts (_delivery_date date, _verdict varchar, rows bigint)")
    if any(staged.glob("*/*.parquet")):
        chosen = ", ".join(f"date '{day}'" for day in days)
        source = f"select * from {staged_relation(staged)} where _delivery_date in ({chosen})"
        is_good = f"_violations & {error_mask} = 0"
        if contract.key:
            is_repeated = (
                f"(_delivery_date, {_hash(contract.key)}) in (select (_delivery_date, _key) from repeated_keys)"
            )
            con.execute(f"""
                create temp table suspects as
                select *, case
                    when min(_content) over same_key <> max(_content) over same_key then 'conflict'
                    when row_number() over (same_key order by _file) > 1 then 'duplicate'
                    else 'good' end as _verdict
                from (select *, {content} as _content from ({source}) where {is_good} and {is_repeated})
                window same_key as (partition by _delivery_date, {key})
            """)
            con.execute(
                f"insert into conflicts select distinct _delivery_date, {_hash(contract.key)} from suspects where _verdict = 'conflict'"
            )
            con.execute("insert into verdicts select _delivery_date, _verdict, count(*) from suspects group by all")
            good = (
                f"select * from ({source}) where {is_good} and not {is_repeated} union all "
                "select * exclude (_verdict, _content) from suspects where _verdict = 'good'"
            )
        else:
            good = f"{source} and {is_good}"
        con.execute(
            f"insert into verdicts select _delivery_date, 'bad', count(*) from ({source}) where not {is_good} group by all"
        )
        con.execute(
            f"copy (select *, _delivery_date as delivery_date from ({good})) to {quote_text(cleaned)} "
            "(format parquet, partition_by (delivery_date), overwrite_or_ignore true)"
        )
    counts = {
        (day, verdict): rows
        for day, verdict, rows in con.execute("select _delivery_date, _verdict, rows from verdicts").fetchall()
    }
    rejected = rejected_by_day(con)
    outcomes = {}
    for day in days:
        bad_rows, conflicts, duplicates = (counts.get((day, name), 0) for name in ("bad", "conflict", "duplicate"))
        outcomes[day] = Outcome(bad_rows + conflicts + rejected.get(day, 0), duplicates, conflicts)
    _write_bad(
        con,
        contract,
        bad,
        files,
        rule_names,
        error_mask,
        numbered,
        sum(o.quarantined for o in outcomes.values()),
        one_line,
    )
    return outcomes


def _write_bad(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    bad: Path,
    files: Sequence[DeliveredFile],
    rule_names: Sequence[str],
    error_mask: int,
    numbered: Callable[[], Iterable[str]],
    expected: int,
    one_line: Collection[str],
) -> None:
    """Write the quarantined rows: table, day, rules, key, file, line, raw text."""
    con.execute(
        "create or replace temp table bad_rows (_delivery_date date, rules varchar, key varchar, path varchar, "
        "record bigint, is_rejected boolean)"
    )
    con.execute(
        f"insert into bad_rows select _delivery_date, '{MALFORMED}: ' || lower(reason), null, path, record, true from rejected"
    )
    (rejected,) = con.execute("select count(*) from bad_rows").fetchall()[0]
    if rejected < expected:
        names = ", ".join(
            f"case when _violations & {1 << i} <> 0 then {_shown(n, i)} end" for i, n in enumerate(rule_names)
        )
        key = ", ".join(f"cast({quote_name(k)} as varchar)" for k in contract.key) or "null"
        is_bad = f"_violations & {error_mask} <> 0"
        in_conflict = "false"
        if con.execute("select 1 from conflicts limit 1").fetchall():
            in_conflict = f"(_delivery_date, {_hash(contract.key)}) in (select (_delivery_date, _key) from conflicts)"
        for rows in numbered():
            con.execute(f"""
                insert into bad_rows
                select _delivery_date, case when {is_bad} then concat_ws(', ', {names}) else '{CONFLICT}' end,
                    concat_ws(' | ', {key}), path, _row, false
                from ({rows}) join delivered on name = _file where {is_bad} or {in_conflict}
            """)
    (found,) = con.execute("select count(*) from bad_rows").fetchall()[0]
    if found != expected:
        raise DeliveryError(
            f"{contract.table}: {expected:,} bad rows were found, {found:,} when the files were read again: they changed "
            "meanwhile; run again when they are complete"
        )
    if not con.execute("select 1 from bad_rows limit 1").fetchall():
        return
    paths = {path for (path,) in con.execute("select distinct path from bad_rows").fetchall()}
    _map_lines(con, contract, [f for f in files if str(f.path) in paths], one_line)
    con.execute(f"""
        copy (
            select {quote_text(contract.table)} as table_name, _delivery_date, rules, key, name as file, line, raw_text,
                _delivery_date as delivery_date
            from bad_rows left join line_map using (path, record, is_rejected) left join delivered using (path)
            order by file, line
        ) to {quote_text(bad)} (format parquet, partition_by (delivery_date), overwrite_or_ignore true)
    """)


def _shown(rule: str, bit: int) -> str:
    """SQL of a broken rule's name; bits above that of a malformed record say what is wrong with it."""
    if rule != MALFORMED:
        return quote_text(rule)
    flaw = f"(_violations >> {bit})"
    return f"case {flaw} when {TOO_MANY} then '{rule}: too many columns' when {MISSING} then '{rule}: missing columns' else '{rule}' end"


def _map_lines(
    con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[DeliveredFile], one_line: Collection[str]
) -> None:
    """Create ``line_map``: (path, record, is_rejected) -> physical line and raw text, for ``files``."""
    if contract.format in ("parquet", *CONVERTED):
        line = "_line" if contract.format in CONVERTED else "file_row_number + 1"
        helpers = "_path, file_row_number" + (", _line, _is_broken" if contract.format in CONVERTED else "")
        con.execute(
            "create or replace temp table line_map (path varchar, record bigint, is_rejected boolean, line bigint, raw_text varchar)"
        )
        for file in files:  # one by one: their types may differ
            con.execute(f"""
                insert into line_map
                select _path, _number, false, _number, cast(to_json(r) as varchar)
                from (
                    select {line} as _number, _path, columns(* exclude ({helpers}))
                    from read_parquet({quote_text(file.path)}, filename='_path', file_row_number=true, hive_partitioning=false)
                ) as r
                where (_path, _number) in (select (path, record) from bad_rows)
            """)
        return
    wanted: dict[str, set[tuple[int, bool]]] = {}
    refused: dict[str, set[int]] = {}
    for path, record, is_rejected in con.execute("select path, record, is_rejected from bad_rows").fetchall():
        wanted.setdefault(path, set()).add((record, is_rejected))
    for path, record in con.execute("select path, record from rejected").fetchall():
        refused.setdefault(path, set()).add(record)
    found: list[tuple[str, int, bool, int, str]] = []
    for file in files:
        path = str(file.path)
        locate = _locate_lines if file.name in one_line else _locate_records
        found += [(path, *place) for place in locate(contract, file, wanted[path], refused.get(path, set()))]
    con.execute(
        "create or replace temp table line_map as select unnest($1) as path, unnest($2) as record, "
        "unnest($3) as is_rejected, unnest($4) as line, unnest($5) as raw_text",
        [list(column) for column in zip(*found, strict=True)] or [[""], [0], [False], [0], [""]],
    )


def _locate_records(
    contract: Contract, file: DeliveredFile, wanted: Collection[tuple[int, bool]], refused: Collection[int]
) -> Iterator[tuple[int, bool, int, str]]:
    """Record, whether the reader refused it, physical line and text of the ``wanted`` records, found by their quotes."""
    readable = 0
    for place in places(contract, file):
        is_rejected = place.record in refused
        if contract.format == "csv" and (place.record == 1 or place.is_blank):
            continue
        readable += not is_rejected
        number = place.record if is_rejected else readable
        if (number, is_rejected) in wanted:
            yield number, is_rejected, place.line, place.text


def _locate_lines(
    contract: Contract, file: DeliveredFile, wanted: Collection[tuple[int, bool]], refused: Collection[int]
) -> Iterator[tuple[int, bool, int, str]]:
    """The same where each line is a record: lines are reckoned, and only the wanted ones are looked at."""
    lines = {record: (record, True) for record, is_rejected in wanted if is_rejected}
    first, before, sorted_refused = int(contract.format == "csv"), 0, sorted(refused)
    for record in sorted(record for record, is_rejected in wanted if not is_rejected):
        while before < len(refused) and sorted_refused[before] <= first + record + before:
            before += 1
        lines[first + record + before] = (record, False)
    for line, text in texts(contract, file, lines):
        yield *lines[line], line, text
