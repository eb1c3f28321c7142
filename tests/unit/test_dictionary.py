"""The data dictionary says what the dbt project says, and the committed one is up to date."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.dbt_runner import load_manifest
from orchestration.dictionary import DICTIONARY, render
from orchestration.settings import Settings


@pytest.fixture
def environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("environment_kept")
def test_the_committed_dictionary_is_what_the_generator_gives(tmp_path: Path) -> None:
    expected = render(load_manifest(Settings(home=tmp_path)))
    assert DICTIONARY.read_text(encoding="utf-8") == expected, (
        f"{DICTIONARY.name} is out of date: run `python -m orchestration.dictionary` and commit it"
    )


def _column(name: str, data_type: str, description: str) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "description": description}


def _test(name: str, model: str, column: str | None, severity: str = "ERROR", **kwargs: Any) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "attached_node": model,
        "column_name": column,
        "config": {"severity": severity},
        "test_metadata": {"name": name, "kwargs": kwargs},
    }


def _model(name: str, folder: str, *columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "unique_id": f"model.fidelis.{name}",
        "name": name,
        "schema": "mart",
        "fqn": ["fidelis", "marts", folder, name],
        "description": f"What {name}\n  is | for.",
        "config": {"meta": {"grain": "thing"}},
        "columns": {c["name"]: c for c in columns},
    }


def test_a_table_shows_its_grain_key_types_descriptions_and_tests() -> None:
    things = _model(
        "fct_things", "core", _column("thing_id", "string", "Its number."), _column("who", "string", "Owner.")
    )
    staged = {**_model("stg_things", "core"), "fqn": ["fidelis", "staging", "shop", "stg_things"]}
    nodes = {
        "model.fidelis.fct_things": things,
        "model.fidelis.stg_things": staged,
        "test.a": _test("unique_grain", "model.fidelis.fct_things", None, columns=["thing_id"]),
        "test.b": _test("not_null", "model.fidelis.fct_things", "who", column_name="who"),
        "test.c": _test(
            "relationships", "model.fidelis.fct_things", "who", to="ref('dim_customer')", field="customer_id"
        ),
        "test.d": _test(
            "expression_is_true", "model.fidelis.fct_things", None, severity="warn", expression=["a > 0", "b < 1"]
        ),
    }

    text = render({"nodes": nodes})

    assert "What fct_things is \\| for.\n\nOne row per: thing.  \nKey: `thing_id`.\n" in text
    assert "| `thing_id` | varchar | Its number. |  |" in text
    assert "| `who` | varchar | Owner. | → `dim_customer.customer_id`; not null |" in text
    assert "- `a > 0` (warning only)\n- `b < 1` (warning only)\n" in text
    assert "stg_things" not in text


def test_tables_come_in_reading_order() -> None:
    names = [
        ("kpi_monthly", "indicators"),
        ("audit_rows", "core"),
        ("fct_orders", "core"),
        ("dim_zone", "core"),
        ("odd", "zz_new"),
    ]
    text = render({"nodes": {f"model.fidelis.{n}": _model(n, f) for n, f in names}})
    places = [text.index(f"### `mart.{n}`") for n in ("dim_zone", "fct_orders", "audit_rows", "kpi_monthly", "odd")]
    assert places == sorted(places)
    assert "## Zz new" in text
