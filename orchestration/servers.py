"""Where a table's deliveries lie: a folder, S3-compatible storage, an HTTP server, a table of PostgreSQL.

Read from the one entry of a contract's ``servers``; credentials are settings, never part of a contract.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

ServerType = Literal["local", "s3", "http", "postgresql"]

#: Other names of a type that the Open Data Contract Standard or people use.
_TYPES: Mapping[str, ServerType] = {
    "local": "local",
    "s3": "s3",
    "http": "http",
    "https": "http",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
FILE_FORMATS = ("csv", "jsonl", "parquet", "xlsx")
#: The format of a table of a database, once fetched.
TABLE = "table"
#: So many days back an HTTP server is asked again for files that were replaced or came late.
LOOK_BACK_DAYS = 14


class ServerError(ValueError):
    """A server is described wrongly; the message says what to change, without the contract's file."""


@dataclass(frozen=True)
class Server:
    """The place of the deliveries of one table.

    ``path`` is below the landing folder (local), the object's key (s3), the URL (http) or ``schema.table``
    (postgresql). ``endpoint`` is the bucket's own server, if it is not Amazon's.
    """

    name: str
    type: ServerType
    format: str
    path: str
    bucket: str = ""
    endpoint: str | None = None
    host: str = ""
    port: int = 5432
    database: str = ""
    schema: str = "public"
    table: str = ""
    watermark: str | None = None
    sheet: str | None = None
    header_row: int = 1
    look_back_days: int = LOOK_BACK_DAYS
    has_checksum_file: bool = False

    @property
    def is_table(self) -> bool:
        """Whether deliveries are cut out of a live table instead of being files that somebody brings."""
        return self.type == "postgresql"

    @property
    def place(self) -> str:
        """The server and path, as a person would look for it; never with credentials."""
        if self.type == "s3":
            return f"s3://{self.bucket}/{self.path}"
        if self.type == "postgresql":
            return f"table {self.path} of database {self.database} on {self.host}"
        return self.path.split("?")[0] if self.type == "http" else self.path


def parse_server(server: Any, access: Mapping[str, Any], delivery: Mapping[str, Any], table: str, mode: Any) -> Server:
    """The server of a contract; ``access`` and ``delivery`` are its own and the schema object's custom properties."""
    kind = _TYPES.get(str(server.type or "local").lower())
    if kind is None:
        raise ServerError(f"server type '{server.type}' is unknown; use local, s3, http or postgresql")
    if kind == "postgresql":
        return _postgresql(server, delivery, table, mode)
    if server.format not in FILE_FORMATS:
        raise ServerError(f"format '{server.format}' is unknown; use one of {', '.join(FILE_FORMATS)}")
    header_row, look_back = access.get("headerRow", 1), access.get("lookBackDays", LOOK_BACK_DAYS)
    if not isinstance(header_row, int) or header_row < 1:
        raise ServerError("headerRow must be the number of the sheet's row that names the columns, from 1")
    if not isinstance(look_back, int) or look_back < 0:
        raise ServerError("lookBackDays must be a number of days")
    if access.get("checksum") not in (None, "sha256"):
        raise ServerError("checksum must be sha256: the file's URL with .sha256 at its end holds it")
    bucket, path = "", server.path if kind == "local" else (server.location or server.path)
    if not path:
        raise ServerError(f"the server names no {'path' if kind == 'local' else 'location'}")
    if kind == "s3":
        match = re.fullmatch(r"s3://([^/{*?]+)/(.+)", path)
        if match is None:
            raise ServerError(f"location '{path}' must look like s3://bucket/folder/orders_{{date}}.csv")
        bucket, path = match.groups()
    if kind == "http" and (urlsplit(path).scheme not in ("http", "https") or urlsplit(path).username or "*" in path):
        raise ServerError(
            "location must look like https://host/folder/orders_{date}.csv, without a wildcard and without credentials"
        )
    return Server(
        name=str(server.server or "server"),
        type=cast(ServerType, kind),
        format=server.format,
        path=path,
        bucket=bucket,
        endpoint=server.endpointUrl,
        sheet=None if access.get("sheet") is None else str(access["sheet"]),
        header_row=header_row,
        look_back_days=look_back,
        has_checksum_file=access.get("checksum") == "sha256",
    )


def _postgresql(server: Any, delivery: Mapping[str, Any], table: str, mode: Any) -> Server:
    missing = [name for name in ("host", "database") if not getattr(server, name)]
    if missing:
        raise ServerError(f"the server names no {missing[0]}")
    watermark = delivery.get("watermark")
    if (mode == "full") == (watermark is not None):
        raise ServerError(
            "a table of PostgreSQL needs deliveryMode full, or changes or append and the watermark, "
            "the column that says when a row was last changed"
        )
    schema = server.schema_ or "public"
    return Server(
        name=str(server.server or "server"),
        type="postgresql",
        format=TABLE,
        path=f"{schema}.{table}",
        host=str(server.host),
        port=int(server.port or 5432),
        database=str(server.database),
        schema=schema,
        table=table,
        watermark=None if watermark is None else str(watermark),
    )
