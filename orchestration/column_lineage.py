"""Which columns each column of a model is computed from, read off the compiled SQL.

Parsing all models takes several seconds, so the result is kept beside dbt's state, by the text of each
model: a night in which no model changed parses nothing.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from orchestration.raw_zone import write_durably

#: column -> the (relation, column) pairs it is computed from; a relation is dbt's quoted name
Lineage = dict[str, list[tuple[str, str]]]


def lineage_of(sql: str, columns: Mapping[str, Mapping[str, str]]) -> Lineage:
    """Column lineage of one query.

    ``columns`` gives the columns (name -> type) of every relation the query may read, by its quoted name
    ``"database"."schema"."table"``. A query that the parser does not understand has no lineage.
    """
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    try:
        tree = parse_one(sql, dialect="duckdb")
        read = {_name(table) for table in tree.find_all(exp.Table) if table.db}
        schema: dict[str, Any] = {}
        for relation in read & columns.keys():
            database, namespace, table = relation.strip('"').split('"."')
            schema.setdefault(database, {}).setdefault(namespace, {})[table] = columns[relation]
        qualified = qualify(tree, schema=schema, dialect="duckdb", identify=False, validate_qualify_columns=False)
        scope = build_scope(qualified)
        found: Lineage = {}
        for name in cast(exp.Query, qualified).named_selects:
            root = lineage(name, qualified, schema, scope=scope, dialect="duckdb", copy=False, trim_selects=False)
            leaves = {
                (_name(node.expression), node.name.rsplit(".", 1)[-1].strip('"'))
                for node in root.walk()
                if not node.downstream and isinstance(node.expression, exp.Table) and node.expression.db
            }
            found[name] = sorted(leaves)
    except (SqlglotError, RecursionError):
        return {}
    return found


def _name(table: object) -> str:
    return f'"{table.catalog}"."{table.db}"."{table.name}"'  # type: ignore[attr-defined]


def cached_lineage(
    cache: Path, models: Mapping[str, str], columns: Mapping[str, Mapping[str, str]]
) -> dict[str, Lineage]:
    """Lineage of all ``models`` (id -> compiled SQL), parsing only those whose SQL is new to ``cache``."""
    known: dict[str, Lineage] = json.loads(cache.read_text()) if cache.exists() else {}
    digests = {model: sha256(sql.encode()).hexdigest() for model, sql in models.items()}
    found = {d: known.get(d) or lineage_of(models[m], columns) for m, d in digests.items()}
    if found.keys() - known.keys():
        write_durably(cache, json.dumps({**known, **found}))
    return {model: {c: [(r, n) for r, n in deps] for c, deps in found[d].items()} for model, d in digests.items()}
