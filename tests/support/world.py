"""A retailer of one table, built in a temporary folder: its contract, its landing files, its raw zone."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration import raw_zone
from orchestration.contracts import Contract, load_contract
from orchestration.extraction import extract
from orchestration.raw_zone import Partition
from orchestration.settings import Settings

DAY = date(2024, 3, 1)
NEXT_DAY = date(2024, 3, 2)

#: The columns of a small table of sales: a key, a decimal, an integer, a date, an allowed value.
SALE_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "sale_id", "physicalName": "id", "logicalType": "string", "primaryKey": True, "required": True},
    {
        "name": "amount",
        "physicalName": "amount",
        "logicalType": "number",
        "physicalType": "decimal(18,2)",
        "logicalTypeOptions": {"minimum": 0},
    },
    {"name": "quantity", "physicalName": "qty", "logicalType": "integer"},
    {"name": "sold_on", "physicalName": "day", "logicalType": "date"},
    {"name": "shop", "physicalName": "shop", "logicalType": "string", "enum": [{"value": "north"}, {"value": "south"}]},
    {"name": "note", "physicalName": "note", "logicalType": "string", "classification": "personal"},
)
SALE_HEADER = ("id", "amount", "qty", "day", "shop", "note")


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings whose every folder lies in ``folder``; no environment, no ``.env``."""
    values = {"home": folder / "home", "landing": folder / "landing", "first_day": date(2024, 1, 1), "threads": 1}
    (folder / "landing").mkdir(parents=True, exist_ok=True)
    return Settings(_env_file=None, **{**values, "memory": "1GB", **changes})


def properties(**values: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def contract_document(
    table: str,
    columns: Iterable[Mapping[str, Any]],
    *,
    path: str,
    server: Mapping[str, Any] | None = None,
    access: Mapping[str, Any] | None = None,
    quality: Sequence[Mapping[str, Any]] = (),
    **custom: Any,
) -> dict[str, Any]:
    """An Open Data Contract; ``server`` and ``access`` describe the files, ``custom`` the delivery."""
    numbered = [dict(c) | ({"primaryKeyPosition": 1} if c.get("primaryKey") else {}) for c in columns]
    place = {"server": "landing", "type": "local", "path": path, "format": "csv", **(server or {})}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"urn:test:{table}",
        "name": table,
        "version": "1.0.0",
        "status": "active",
        "servers": [place | {"customProperties": properties(**(access or {}))}],
        "schema": [
            {
                "name": table,
                "customProperties": properties(**{"deliveryMode": "changes", **custom}),
                "properties": numbered,
                "quality": list(quality),
            }
        ],
    }


def write_contract(folder: Path, document: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{document['name']}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def sales_contract(
    folder: Path, columns: Iterable[Mapping[str, Any]] = SALE_COLUMNS, *, path: str = "sales_{date}.csv", **options: Any
) -> Contract:
    """The contract of ``sales``, a table of its own; half of its rows may be bad unless ``options`` say otherwise."""
    options = {"toleratedBadRows": 0.5, "toleratedBadRowsAtLeast": 5, **options}
    return load_contract(
        write_contract(folder / "contracts", contract_document("sales", columns, path=path, **options))
    )


def sale(number: int, **changes: str) -> dict[str, str]:
    """A sale without fault, as texts by header."""
    row = {"id": f"S{number}", "amount": f"{number}.50", "qty": str(number), "day": "2024-03-01", "shop": "north"}
    return row | {"note": f"note {number}"} | changes


def csv_text(rows: Iterable[Mapping[str, str]], header: Sequence[str] = SALE_HEADER, end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def deliver(settings: Settings, content: str | bytes, name: str = "sales_2024-03-01.csv") -> Path:
    """Put a file into the landing folder; a name in .gz is compressed."""
    path = settings.landing_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def load(settings: Settings, contract: Contract, *days: date) -> Partition:
    """Extract days (the usual one if none is named) and return the partition of the first."""
    days = days or (DAY,)
    partitions = extract(settings, contract, days)
    for partition in partitions.values():
        assert_accounted(partition)
    return partitions[days[0]]


def assert_accounted(p: Partition) -> None:
    assert p.rows_read == p.rows_loaded + p.rows_quarantined + p.rows_duplicate + p.rows_elsewhere + p.rows_refused


def raw_rows(settings: Settings, contract: Contract, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
    """Accepted rows of a table, sorted."""
    with duckdb.connect() as con:
        return con.execute(
            f"select {columns} from ({raw_zone.relation(settings, contract)}) where {where} order by all"
        ).fetchall()


def quarantined(settings: Settings, contract: Contract, columns: str = "line, rules") -> list[tuple[Any, ...]]:
    """Quarantined rows that the raw zone's index names, sorted."""
    files = [
        str(settings.quarantine_dir / contract.table / name)
        for p in raw_zone.partitions(settings, contract.table).values()
        for name in p.quarantine
    ]
    if not files:
        return []
    with duckdb.connect() as con:
        return con.execute(f"select {columns} from read_parquet($1) order by all", [files]).fetchall()
