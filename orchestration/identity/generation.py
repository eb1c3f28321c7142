"""What a build of the registry is made of and leaves behind: a generation of tables, and what later nights need not find out again."""

import json
import shutil
import uuid
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from orchestration import identity_files, raw_zone
from orchestration.contracts import Contract
from orchestration.identity import evidence, scoring, values
from orchestration.identity.growing import Growing
from orchestration.identity.ruleset import Ruleset
from orchestration.rules import quote_text
from orchestration.settings import Settings

_CACHES = ("known_value", "known_state", "known_crowded", "pair_score")


def grounds(contracts: Mapping[str, Contract], rules: Ruleset) -> str:
    """A fingerprint of what all evidence depends on beside deliveries: rules, contracts and code."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), Path(raw_zone.__file__), here / "model.json", evidence.BOT_RULES]
    digest = sha256(f"{values.version(rules)} {duckdb.__version__}".encode())
    for content in (*(file.read_bytes() for file in files), *(_content(contracts, t) for t in evidence.TABLES)):
        digest.update(sha256(content).digest())
    return digest.hexdigest()


def _content(contracts: Mapping[str, Contract], table: str) -> bytes:
    return contracts[table].content.encode() if table in contracts else b""


def basis(settings: Settings, contracts: Mapping[str, Contract], rules: Ruleset) -> str:
    """A fingerprint of all that identities depend on: accepted files, decisions, weights, rules, contracts and code."""
    files = {t: [f for p in raw_zone.partitions(settings, t).values() for f in p.data] for t in evidence.TABLES}
    inputs = sha256(identity_files.inputs(settings)).hexdigest()
    return sha256(json.dumps([grounds(contracts, rules), inputs, files]).encode()).hexdigest()


def _cache_version(settings: Settings, rules: Ruleset) -> dict[str, str]:
    compared = f"{values.version(rules)}-{scoring.model_version(settings)}"
    return {
        "known_value": values.version(rules),
        **dict.fromkeys(("known_state", "known_crowded", "pair_score"), compared),
    }


def load_caches(con: duckdb.DuckDBPyConnection, settings: Settings, rules: Ruleset, *, from_nothing: bool) -> None:
    """Tables of what earlier nights found out, empty where that no longer holds."""
    columns = {
        "known_value": "kind varchar, country varchar, written varchar, normal varchar",
        "known_state": "state_id ubigint",
        "known_crowded": "key ubigint",
        "pair_score": "state_l ubigint, state_r ubigint, weight double",
    }
    versions = identity_files.pointer(settings).get("caches", {})
    here = identity_files.folder(settings)
    for table in _CACHES:
        con.execute(f"create table {table} ({columns[table]})")
        if here and not from_nothing and versions.get(table) == _cache_version(settings, rules)[table]:
            con.execute(f"insert into {table} select * from read_parquet({quote_text(here / f'{table}.parquet')})")


def put_in_force(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    rules: Ruleset,
    scratch: Path,
    growing: Growing,
    said: Mapping[str, Any],
) -> None:
    """Write the tables aside, move them to their place, and let the pointer name them."""
    aside = scratch / "generation"
    aside.mkdir()
    for table, columns in {**identity_files.TABLES, **dict.fromkeys(_CACHES, None)}.items():
        fields = ", ".join(columns) if columns else "*"
        con.execute(f"copy (select {fields} from {table}) to {quote_text(aside / f'{table}.parquet')} (format parquet)")
    growing.save(aside)
    settings.identity_dir.mkdir(parents=True, exist_ok=True)
    settings.identity_dir.chmod(0o700)
    name = f"generation-{uuid.uuid4().hex[:12]}"
    raw_zone.sync_folder(aside)
    aside.rename(settings.identity_dir / name)
    raw_zone.sync(settings.identity_dir)
    raw_zone.write_durably(
        settings.identity_dir / identity_files.POINTER,
        json.dumps({"generation": name, "caches": _cache_version(settings, rules), **said}),
    )
    for other in settings.identity_dir.glob("generation-*"):
        if other.name != name:
            shutil.rmtree(other)
