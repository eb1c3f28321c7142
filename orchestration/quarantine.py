"""Quarantine: bad rows leave the delivery with their rule, key, file, line and raw text.

A reader counts records, people open files at a line: the files that hold a bad row are read once more, to map
records to physical lines (``sources.lines``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from orchestration.contracts import Contract
from orchestration.profiling import staged_relation
from orchestration.rules import CONFLICT, MALFORMED, quote_name, quote_text
from orchestration.sources.files import CONVERTED, DeliveredFile
from orchestration.sources.lines import places


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
    con.execute("drop table reject_errors")
    con.execute("drop table reject_scans")


def forget_rejected(con: duckdb.DuckDBPyConnection) -> None:
    """Start anew: the records refused so far are about to be read again."""
    con.execute("delete from rejected")
    con.execute("drop table if exists reject_errors")
    con.execute("drop table if exists reject_scans")


def rejected_by_day(con: duckdb.DuckDBPyConnection) -> dict[date, int]:
    """Records per delivery day that could not be split into fields."""
    return dict(con.execute("select _delivery_date, count(*) from rejected group by all").fetchall())


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
) -> dict[date, Outcome]:
    """Write the good rows of ``days`` to ``cleaned`` and the bad ones to ``bad``, Parquet per day.

    Of rows equal in every contracted column one is kept, the rest are declared duplicates. Rows of one day
    that share a key and differ are all bad: no rule could say which is right.
    """
    cleaned.mkdir()
    bad.mkdir()
    if not days:
        return {}
    chosen = ", ".join(f"date '{day}'" for day in days)
    key = ", ".join(map(quote_name, contract.key))
    content = ", ".join(quote_name(c.name) for c in contract.columns)
    has_rows = any(staged.glob("*/*.parquet"))
    source = f"select * from {staged_relation(staged)} where _delivery_date in ({chosen})" if has_rows else None
    if source is not None:
        con.execute(f"""
            create or replace temp table judged as
            select *, case
                when _violations & {error_mask} <> 0 then 'bad'
                when min(_content) over same_key <> max(_content) over same_key then 'conflict'
                when row_number() over (same_key order by _file, _row) > 1 then 'duplicate'
                else 'good' end as _verdict
            from (select *, hash({content}) as _content from ({source}))
            window same_key as (partition by _delivery_date, _violations & {error_mask} <> 0, {key})
        """)
    else:
        con.execute("create or replace temp table judged (_delivery_date date, _verdict varchar)")
    if has_rows:
        con.execute(
            f"copy (select * exclude (_verdict, _content), _delivery_date as delivery_date from judged where _verdict = 'good') "
            f"to {quote_text(cleaned)} (format parquet, partition_by (delivery_date), overwrite_or_ignore true)"
        )
        _write_bad(con, contract, bad, files, rule_names)
    else:
        _write_bad(con, contract, bad, files, None)
    counts = {
        day: (quarantined, duplicates, conflicts)
        for day, quarantined, duplicates, conflicts in con.execute("""
            select _delivery_date, count(*) filter (where _verdict in ('bad', 'conflict')),
                count(*) filter (where _verdict = 'duplicate'), count(*) filter (where _verdict = 'conflict')
            from judged group by all
        """).fetchall()
    }
    rejected = rejected_by_day(con)
    outcomes = {}
    for day in days:
        quarantined, duplicates, conflicts = counts.get(day, (0, 0, 0))
        outcomes[day] = Outcome(quarantined + rejected.get(day, 0), duplicates, conflicts)
    return outcomes


def _write_bad(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    bad: Path,
    files: Sequence[DeliveredFile],
    rule_names: Sequence[str] | None,
) -> None:
    """Write the quarantined rows: table, day, rules, key, file, line, raw text."""
    con.execute(
        "create or replace temp table bad_rows (_delivery_date date, rules varchar, key varchar, path varchar, "
        "record bigint, is_rejected boolean)"
    )
    con.execute(
        f"insert into bad_rows select _delivery_date, '{MALFORMED}: ' || lower(reason), null, path, record, true from rejected"
    )
    if rule_names is not None:
        names = ", ".join(
            f"case when _violations & {1 << i} <> 0 then {quote_text(n)} end" for i, n in enumerate(rule_names)
        )
        key = ", ".join(f"cast({quote_name(k)} as varchar)" for k in contract.key)
        con.execute(f"""
            insert into bad_rows
            select _delivery_date, case when _verdict = 'conflict' then '{CONFLICT}' else concat_ws(', ', {names}) end,
                concat_ws(' | ', {key}), path, _row, false
            from judged join delivered on name = _file where _verdict in ('bad', 'conflict')
        """)
    if not con.execute("select 1 from bad_rows limit 1").fetchall():
        return
    paths = {path for (path,) in con.execute("select distinct path from bad_rows").fetchall()}
    _map_lines(con, contract, [f for f in files if str(f.path) in paths])
    con.execute(f"""
        copy (
            select {quote_text(contract.table)} as table_name, _delivery_date, rules, key, name as file, line, raw_text,
                _delivery_date as delivery_date
            from bad_rows left join line_map using (path, record, is_rejected) left join delivered using (path)
            order by file, line
        ) to {quote_text(bad)} (format parquet, partition_by (delivery_date), overwrite_or_ignore true)
    """)


def _map_lines(con: duckdb.DuckDBPyConnection, contract: Contract, files: Sequence[DeliveredFile]) -> None:
    """Create ``line_map``: (path, record, is_rejected) -> physical line and raw text, for ``files``."""
    if contract.format in ("parquet", *CONVERTED):
        line = "_line" if contract.format in CONVERTED else "file_row_number + 1"
        helpers = "filename, file_row_number" + (", _line, _is_broken" if contract.format in CONVERTED else "")
        relation = "[" + ", ".join(quote_text(f.path) for f in files) + "]"
        con.execute(f"""
            create or replace temp table line_map as
            select _path as path, _number as record, false as is_rejected, _number as line, cast(to_json(r) as varchar) as raw_text
            from (
                select {line} as _number, filename as _path, columns(* exclude ({helpers}))
                from read_parquet({relation}, filename=true, file_row_number=true, hive_partitioning=false)
            ) as r
            where (_path, _number) in (select (path, record) from bad_rows)
        """)
        return
    wanted = set(con.execute("select path, record, is_rejected from bad_rows").fetchall())
    refused = set(con.execute("select path, record from rejected").fetchall())
    found: list[tuple[str, int, bool, int, str]] = []
    for file in files:
        path, readable = str(file.path), 0
        for place in places(contract, file):
            is_rejected = (path, place.record) in refused
            if contract.format == "csv" and (place.record == 1 or place.is_blank):
                continue
            readable += not is_rejected
            number = place.record if is_rejected else readable
            if (path, number, is_rejected) in wanted:
                found.append((path, number, is_rejected, place.line, place.text))
    con.execute(
        "create or replace temp table line_map as select unnest($1) as path, unnest($2) as record, "
        "unnest($3) as is_rejected, unnest($4) as line, unnest($5) as raw_text",
        [list(column) for column in zip(*found, strict=True)] or [[""], [0], [False], [0], [""]],
    )
