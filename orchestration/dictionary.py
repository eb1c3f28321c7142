"""The data dictionary: dbt's manifest -> Markdown, one section per mart table.

``python -m orchestration.dictionary`` writes docs/data-dictionary.md; a test fails when that file is out of date.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT_DIR

DICTIONARY = PROJECT_DIR / "docs" / "data-dictionary.md"

#: Folders of dbt_project/models/marts in reading order, with their title; others follow under their own name.
SECTIONS = {
    "core": "Dimensions and facts",
    "customer_value": "Customer value",
    "indicators": "Indicators",
    "campaigns": "Campaigns",
    "audit": "Account of every row and sum",
    "restricted": "Restricted release (direct identifiers)",
}

_INTRODUCTION = """# Data dictionary

Generated from `dbt_project/` by `python -m orchestration.dictionary`: do not edit it by hand. The same descriptions are in the
release itself as comments (`select table_name, comment from duckdb_tables()`).

**Key** means that no two rows share these columns, and a test holds it. **→** means that every value exists in the column
named, and a test holds it. *Not null* and *one of* are tested too. Amounts are in the reporting currency, without tax.
Timestamps (`…_at`) are UTC; dates are taken in the business time zone.
"""


@dataclass
class _Tests:
    """What dbt tests of one model: keys, references, values by column, and conditions on rows."""

    keys: list[tuple[str, ...]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    by_column: dict[str, list[str]] = field(default_factory=dict)


def render(manifest: Mapping[str, Any]) -> str:
    """The dictionary of all mart models of a dbt ``manifest`` (the parsed ``manifest.json``), as Markdown."""
    models = [n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["fqn"][1] == "marts"]
    tests = _tests(manifest)
    folders = {m["fqn"][2] for m in models}
    order = [f for f in SECTIONS if f in folders] + sorted(folders - set(SECTIONS))
    parts = [_INTRODUCTION, _overview(models, order)]
    for folder in order:
        parts.append(f"## {_title(folder)}\n")
        parts += [_table(m, tests.get(m["unique_id"], _Tests())) for m in _of(models, folder)]
    return "\n".join(parts)


def _title(folder: str) -> str:
    return SECTIONS.get(folder, folder.replace("_", " ").capitalize())


def _of(models: Iterable[Mapping[str, Any]], folder: str) -> list[Mapping[str, Any]]:
    return sorted((m for m in models if m["fqn"][2] == folder), key=_place)


def _place(model: Mapping[str, Any]) -> tuple[int, str]:
    """Dimensions, then facts, then the others; by name."""
    prefixes = ("dim_", "fct_")
    name = str(model["name"])
    return next((i for i, p in enumerate(prefixes) if name.startswith(p)), len(prefixes)), name


def _line(text: str) -> str:
    """A description as one line that fits into a cell."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def _overview(models: list[Mapping[str, Any]], order: list[str]) -> str:
    rows = [
        f"| [`{m['schema']}.{m['name']}`](#{m['schema']}{m['name']}) | {_grain(m)} |"
        for folder in order
        for m in _of(models, folder)
    ]
    return "\n".join(["| table | one row per |", "|---|---|", *rows, ""])


def _grain(model: Mapping[str, Any]) -> str:
    return _line(str(model["config"]["meta"].get("grain", "")))


def _table(model: Mapping[str, Any], tests: _Tests) -> str:
    name = f"{model['schema']}.{model['name']}"
    lines = [f"### `{name}`\n", f"{_line(model['description'])}\n", f"One row per: {_grain(model)}.  "]
    keys = " and ".join(f"`{', '.join(key)}`" for key in sorted(tests.keys, key=lambda k: (len(k), k)))
    lines += [f"Key: {keys or 'none'}.\n", "| column | type | description | tested |", "|---|---|---|---|"]
    for column in model["columns"].values():
        checks = "; ".join(sorted(tests.by_column.get(column["name"], []), key=lambda t: (not t.startswith("→"), t)))
        lines.append(
            f"| `{column['name']}` | {_type(column['data_type'])} | {_line(column['description'])} | {checks} |"
        )
    if tests.conditions:
        lines += ["", "Every row is tested for:\n", *(f"- {c}" for c in tests.conditions)]
    return "\n".join([*lines, ""])


def _type(declared: str | None) -> str:
    """The type as DuckDB names it."""
    return {"string": "varchar", None: ""}.get(declared, declared) or ""


def _tests(manifest: Mapping[str, Any]) -> dict[str, _Tests]:
    """Generic tests by the model that they are attached to."""
    found: dict[str, _Tests] = {}
    for _, node in sorted(manifest["nodes"].items()):
        metadata, model = node.get("test_metadata"), node.get("attached_node")
        if node["resource_type"] != "test" or metadata is None or model is None:
            continue
        _note(found.setdefault(model, _Tests()), metadata["name"], metadata["kwargs"], node)
    return found


def _note(tests: _Tests, name: str, arguments: Mapping[str, Any], node: Mapping[str, Any]) -> None:
    column = node.get("column_name")
    warning = " (warning only)" if str(node["config"]["severity"]).lower() == "warn" else ""
    if name == "unique_grain":
        tests.keys.append(tuple(arguments["columns"]))
    elif name == "expression_is_true":
        given = arguments["expression"]
        tests.conditions += [f"`{_line(e)}`{warning}" for e in ([given] if isinstance(given, str) else given)]
    elif column is not None:
        sentence = _sentence(name, arguments)
        if sentence is not None:
            tests.by_column.setdefault(column, []).append(sentence + warning)


def _sentence(name: str, arguments: Mapping[str, Any]) -> str | None:
    """What a test of one column says; None for a test that says nothing to a reader."""
    if name == "not_null":
        return "not null"
    if name == "unique":
        return "unique"
    if name == "relationships":
        target = re.search(r"ref\((.*)\)", str(arguments["to"]))
        model = ast.literal_eval(target.group(1)) if target else arguments["to"]
        return f"→ `{model}.{arguments['field']}`"
    if name == "accepted_values":
        return "one of " + ", ".join(f"`{v}`" for v in arguments["values"])
    return None


def write(path: Path = DICTIONARY) -> None:
    """Write the dictionary of the dbt project as it is now."""
    from orchestration.dbt_runner import load_manifest
    from orchestration.settings import load_settings

    path.write_text(render(load_manifest(load_settings())), encoding="utf-8")


if __name__ == "__main__":
    write()
