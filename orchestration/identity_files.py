"""Where the unique customer repository keeps what it found out: the tables that dbt and the command line read.

``identity/current.json`` names the generation in force, a folder of Parquet files, and is replaced by one rename: a build is
seen whole or not at all.
"""

import json
from pathlib import Path
from typing import Any

from orchestration.rules import no_rows, quote_text
from orchestration.settings import Settings

#: Published tables and their columns. ``identities``: each source record now. ``history``: every row that was ever known,
#: bitemporal. ``edges``: what joined two records. ``review``: pairs that a person should look at.
TABLES = {
    "identities": {
        "record_kind": "varchar",
        "source_id": "varchar",
        "source_system": "varchar",
        "customer_id": "varchar",
        "is_inferred": "boolean",
        "first_seen": "date",
        "rule": "varchar",
        "match_weight": "double",
    },
    "history": {
        "record_kind": "varchar",
        "source_id": "varchar",
        "source_system": "varchar",
        "customer_id": "varchar",
        "rule": "varchar",
        "match_weight": "double",
        "valid_from": "date",
        "valid_to": "date",
        "known_since": "date",
        "known_until": "date",
        "since_revision": "bigint",
        "until_revision": "bigint",
        "run_id": "varchar",
    },
    "edges": {
        "record_kind": "varchar",
        "source_id": "varchar",
        "other_kind": "varchar",
        "other_id": "varchar",
        "rank": "integer",
        "rule": "varchar",
        "match_weight": "double",
        "is_used": "boolean",
    },
    "review": {"source_id": "varchar", "other_id": "varchar", "match_weight": "double", "reason": "varchar"},
}
POINTER = "current.json"


def pointer(settings: Settings) -> dict[str, Any]:
    """What is said of the generation in force; empty before the first build."""
    file = settings.identity_dir / POINTER
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def folder(settings: Settings) -> Path | None:
    """The folder of the generation in force."""
    name = pointer(settings).get("generation")
    return settings.identity_dir / name if name else None


def inputs(settings: Settings) -> bytes:
    """What identities depend on beside the raw zone: decisions, weights, rules of one's own."""
    files = [settings.identity_dir / "decisions.jsonl", settings.identity_dir / "model.json", settings.identity_rules]
    return b"\0".join(file.read_bytes() if file is not None and file.exists() else b"" for file in files)


def relation(settings: Settings, table: str) -> str:
    """SQL of a published table, without a row before the first build."""
    here = folder(settings)
    if here is None:
        return no_rows(TABLES[table])
    return f"select {', '.join(TABLES[table])} from read_parquet({quote_text(here / f'{table}.parquet')})"
