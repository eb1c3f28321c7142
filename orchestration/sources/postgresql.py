"""Tables of PostgreSQL, read with DuckDB's own extension: the whole table, or the rows changed on a business day.

The server filters and projects; one statement in one read-only, repeatable-read transaction reads a window, so all its
days are of one snapshot. Values come as the server prints them, so none is rounded on the way, and are typed as texts.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration.contracts import Contract
from orchestration.rules import quote_name, quote_text
from orchestration.settings import Settings
from orchestration.sources.files import DeliveredFile, DeliveryError, Fetched, SourceError, check_header
from orchestration.warehouse import load_extension

_OPTIONS = "connect_timeout=10 options='-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601'"


def discover(contract: Contract, days: Collection[date], last: date) -> dict[date, tuple[DeliveredFile, ...]]:
    """With a watermark every day over has a delivery, maybe an empty one. A full table has today's content only.

    The server is not asked: what it holds of a day is known when it is read.
    """
    has_past = contract.server.watermark is not None
    delivered = [day for day in sorted(days) if day == last or (has_past and day < last)]
    name = f"{contract.server.name}:{contract.path}"
    return {day: (DeliveredFile(day, Path(), f"{name}/{day}", 0, 0),) for day in delivered}


def fetch(
    settings: Settings,
    contract: Contract,
    deliveries: Mapping[date, tuple[DeliveredFile, ...]],
    folder: Path,
    con: duckdb.DuckDBPyConnection,
) -> Fetched:
    """Read the days of a window into ``folder``, one Parquet file of texts per day."""
    fetched = Fetched(dict.fromkeys(deliveries, ()))
    _attach(settings, contract, con)
    try:
        con.execute("begin")
        types = _columns(contract, con)
        files = [file for found in deliveries.values() for file in found]
        check_header(contract, replace(files[0], name=contract.server.place), tuple(types))
        _read(settings, contract, list(deliveries), types, folder, con)
    except DeliveryError as error:
        fetched.failures.update(dict.fromkeys(deliveries, str(error)))
    except duckdb.Error as error:
        raise SourceError(f"{contract.server.place} cannot be read: {_reason(error)}") from None
    finally:
        con.execute("rollback")
        con.execute("detach source_server")
    for file in files if not fetched.failures else ():
        parts = sorted(folder.glob(f"_day={file.day}/*.parquet"))
        named = [replace(file, path=p, name=file.name + (f" ({n})" if n else "")) for n, p in enumerate(parts)]
        fetched.files[file.day] = tuple(named)
        fetched.headers.update({f.name: tuple(types) for f in named})
    return fetched


def _attach(settings: Settings, contract: Contract, con: duckdb.DuckDBPyConnection) -> None:
    server, access = contract.server, settings.access(contract.server.name, "pg")
    load_extension(con, "postgres_scanner")
    given = {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": access.user,
        # a secret is left out of every message, a connection string is not
        "password": access.password.get_secret_value(),
    }
    values = ", ".join(f"{name} {quote_text(value)}" for name, value in given.items() if value)
    con.execute(f"create or replace temporary secret source_secret (type postgres, {values})")
    try:
        con.execute(f"attach {quote_text(_OPTIONS)} as source_server (type postgres, secret source_secret, read_only)")
    except duckdb.Error as error:
        reason = _reason(error)
        place = f"PostgreSQL at {server.host}, database {server.database}"
        if "authentication failed" in reason or "no password supplied" in reason or "does not exist" in reason:
            raise SourceError(
                f"{place}: the login is refused ({reason}); check FIDELIS_PG_USER and FIDELIS_PG_PASSWORD"
            ) from None
        raise SourceError(f"{place} cannot be reached: {reason}") from None
    finally:
        con.execute("drop secret source_secret")


def _reason(error: duckdb.Error) -> str:
    """What PostgreSQL itself said, in one line."""
    text = str(error)
    for marker in ("FATAL:", "ERROR:", "failed:", "error:"):
        if marker in text:
            text = text.split(marker, 1)[1]
            break
    return text.strip().splitlines()[0].strip()


def _ask(con: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return con.execute(f"select * from postgres_query('source_server', {quote_text(query)})").fetchall()


def _columns(contract: Contract, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Type by column of the table or view."""
    found = _ask(
        con,
        "select a.attname::text, pg_catalog.format_type(a.atttypid, null)::text from pg_catalog.pg_attribute a "
        "join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        f"where n.nspname = {quote_text(contract.server.schema)} and c.relname = {quote_text(contract.server.table)} "
        "and a.attnum > 0 and not a.attisdropped order by a.attnum",
    )
    if not found:
        raise DeliveryError(f"{contract.server.place} does not exist, or the user may not see it")
    return dict(found)


def _read(
    settings: Settings,
    contract: Contract,
    days: Sequence[date],
    types: Mapping[str, str],
    folder: Path,
    con: duckdb.DuckDBPyConnection,
) -> None:
    relation = f"{quote_name(contract.server.schema)}.{quote_name(contract.server.table)}"
    headers = _needed(contract, types)
    texts = ", ".join(
        f"nullif({quote_name(h)}::text, '') as {quote_name(h)}" for h in headers
    )  # an empty text is a missing value, as it is in a file
    day, condition = _day_and_filter(settings, contract, days, types, con, relation)
    query = f"select {texts}, {day} as _day from {relation} where {condition}"
    nulls = ", ".join(f"nullif({quote_name(h)}, {quote_text(contract.null_text)}) as {quote_name(h)}" for h in headers)
    replaced = f" replace ({nulls})" if contract.null_text else ""
    key = [quote_name(c.header) for c in contract.columns if c.name in contract.key and c.header] or [
        quote_name(h) for h in headers
    ]
    chosen = ", ".join(quote_text(d) for d in days)
    con.execute(
        f"copy (select *{replaced}, row_number() over (partition by _day order by {', '.join(key)}) as _line, "
        f"false as _is_broken from postgres_query('source_server', {quote_text(query)}) where _day in ({chosen})) "
        f"to {quote_text(folder)} (format parquet, partition_by (_day), overwrite_or_ignore true)"
    )


def _needed(contract: Contract, types: Mapping[str, str]) -> list[str]:
    """The columns of the table that the contract captures, by name or within an expression."""
    captured = {c.header for c in contract.columns if c.header}
    words = {word for c in contract.columns for word in re.findall(r"\w+", c.expression or "")}
    words |= set(re.findall(r"\w+", contract.source))
    return [name for name in types if name in captured or name in words]


def _day_and_filter(
    settings: Settings,
    contract: Contract,
    days: Sequence[date],
    types: Mapping[str, str],
    con: duckdb.DuckDBPyConnection,
    relation: str,
) -> tuple[str, str]:
    """The delivery day of a row, and which rows to read, in PostgreSQL's SQL; an index on the watermark serves."""
    watermark = contract.server.watermark
    if watermark is None:
        return f"{quote_text(max(days))}::text", "true"
    if watermark not in types:
        raise DeliveryError(f"{contract.server.place} has no column '{watermark}', the watermark of its contract")
    column, zone = quote_name(watermark), quote_text(settings.timezone)
    low, high = quote_text(min(days)), quote_text(max(days) + timedelta(days=1))
    kind = types[watermark]
    if kind == "date":
        day, low, high = f"{column}::text", f"date {low}", f"date {high}"
    elif kind == "timestamp with time zone":
        day = f"(({column} at time zone {zone})::date)::text"
        low, high = (f"(timestamp {bound} at time zone {zone})" for bound in (low, high))
    elif kind == "timestamp without time zone":
        own = quote_text(contract.timezone)
        day = f"(({column} at time zone {own} at time zone {zone})::date)::text"
        low, high = (f"(timestamp {bound} at time zone {zone} at time zone {own})" for bound in (low, high))
    else:
        raise DeliveryError(
            f"{contract.server.place}: the watermark '{watermark}' is a {kind}, not a date or timestamp"
        )
    if _ask(con, f"select 'x'::text from {relation} where {column} is null limit 1"):
        raise DeliveryError(
            f"{contract.server.place} has rows whose '{watermark}' is empty: they would never be delivered; fill it or "
            "read the table with deliveryMode full"
        )
    return day, f"{column} >= {low} and {column} < {high}"
