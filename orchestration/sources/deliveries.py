"""Deliveries wherever they lie: which there are, and their way onto this machine.

Whatever the server, what is read in the end is a local file: a file of S3 or HTTP is fetched whole and checked first,
a sheet of Excel and a table of PostgreSQL become a table of texts, any text becomes UTF-8. So a row is typed, judged, quarantined and
counted by one and the same code.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from orchestration.contracts import Contract, is_utf8
from orchestration.settings import Settings
from orchestration.sources import excel, files, http, postgresql, s3, text
from orchestration.sources.files import DeliveredFile, DeliveryError, Fetched


def last_day_over(settings: Settings) -> date:
    """Yesterday in the business time zone."""
    return datetime.now(settings.zone).date() - timedelta(days=1)


def discover(
    settings: Settings, contract: Contract, days: Collection[date] | None = None
) -> dict[date, tuple[DeliveredFile, ...]]:
    """The deliveries of a table by day; at least those of ``days`` (None: of every day there can be).

    Raises SourceError where a server cannot be reached or refuses the credentials.
    """
    kind = contract.server.type
    if kind == "local":
        return files.discover(contract, settings.landing_dir)
    if kind == "s3":
        return s3.discover(settings, contract)
    last = last_day_over(settings)
    asked = _every_day(settings.first_day, last) if days is None else sorted(days)
    if kind == "http":
        return http.discover(settings, contract, asked)
    return postgresql.discover(contract, asked, last)


def discover_changes(
    settings: Settings, contract: Contract, known: Collection[date]
) -> dict[date, tuple[DeliveredFile, ...]]:
    """The deliveries among which something new may be, where the days ``known`` were loaded before.

    Only an HTTP server, which lists nothing, is asked for less than everything: for the days of the contract's
    ``lookBackDays`` and for all after them.
    """
    if contract.server.type != "http" or not known:
        return discover(settings, contract)
    first = max(settings.first_day, max(known) - timedelta(days=contract.server.look_back_days))
    return discover(settings, contract, _every_day(first, last_day_over(settings)))


def _every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def fetch(
    settings: Settings,
    contract: Contract,
    deliveries: Mapping[date, tuple[DeliveredFile, ...]],
    folder: Path,
    con: duckdb.DuckDBPyConnection,
) -> Fetched:
    """Bring deliveries into ``folder``, as far as they are not local files that DuckDB reads as they are.

    A file that cannot be had whole fails its day. Raises SourceError as ``discover`` does.
    """
    kind = contract.server.type
    is_foreign = contract.format in files.TEXT and not is_utf8(contract.encoding)
    if kind == "local" and contract.format != "xlsx" and not is_foreign:
        return Fetched(dict(deliveries))
    folder.mkdir()
    if kind == "postgresql":
        return postgresql.fetch(settings, contract, deliveries, folder, con)
    fetched = Fetched(dict(deliveries))
    for day, found in deliveries.items():
        try:
            local = found
            if kind == "s3":
                local = s3.fetch(settings, contract, found, folder)
            elif kind == "http":
                local = http.fetch(settings, contract, found, folder)
            if contract.format == "xlsx":
                local = tuple(excel.convert(contract, file, folder, fetched.headers) for file in local)
            if is_foreign:
                local = tuple(text.as_utf8(contract, file, folder) for file in local)
            fetched.files[day] = local
        except DeliveryError as error:
            fetched.failures[day] = str(error)
    return fetched
