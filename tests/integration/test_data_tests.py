"""Data tests run as one batch give what ``dbt test`` gives: severities, thresholds, errors, skipped ones."""

import os
from pathlib import Path

import duckdb
import pytest

from orchestration import dbt_runner, dbt_tests, warehouse
from orchestration.contracts import default_contracts
from orchestration.dbt_runner import NodeResult
from orchestration.settings import DBT_PROJECT_DIR, Settings

MODELS_YML = """
models:
  - name: orders
    columns:
      - name: order_id
        data_tests:
          - unique: {name: twice_fails}
          - unique: {name: twice_warns, config: {severity: warn}}
          - unique: {name: twice_below_both_thresholds, config: {warn_if: ">5", error_if: ">10"}}
          - unique: {name: twice_warns_below_the_error, config: {warn_if: ">0", error_if: ">10"}}
          - unique: {name: twice_never_fails_as_a_warning, config: {severity: warn, error_if: ">0", warn_if: ">10"}}
          - unique: {name: twice_where_there_is_none, config: {where: "order_id > 2"}}
          - not_null: {name: null_is_counted_to_the_limit, config: {limit: 2}}
          - unique: {name: twice_sums_another_measure, config: {fail_calc: "sum(n_records)"}}
          - unique: {name: twice_sums_nothing, config: {fail_calc: "sum(n_records)", where: "order_id > 2"}}
      - name: amount
        data_tests:
          - not_null: {name: amount_is_there}
          - relationships:
              name: amount_is_in_what_could_not_be_built
              arguments: {to: ref('unbuildable'), field: amount}
  - name: unbuildable
    columns:
      - name: amount
        data_tests:
          - not_null: {name: test_of_what_could_not_be_built}
"""
ORDERS = """
select 1 as order_id, 10 as amount
union all select 1, 10 union all select 2, 20 union all select 2, 5
union all select null, 7 union all select null, 8 union all select null, 9
"""
SINGULAR = {
    "one_row.sql": "{{ config(severity='warn') }} select * from {{ ref('orders') }} where amount = 7",
    "column_is_gone.sql": "select * from {{ ref('orders') }} where discount > 0",
    "last_line_is_a_comment.sql": "select * from {{ ref('orders') }} where amount < 0 -- never",
}


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A dbt project with each setting that a data test can have; its profile is the real one."""
    project = tmp_path / "project"
    for folder in ("models", "tests"):
        (project / folder).mkdir(parents=True)
    (project / "profiles.yml").write_text((DBT_PROJECT_DIR / "profiles.yml").read_text())
    (project / "dbt_project.yml").write_text("name: small\nprofile: fidelis\nmodels: {small: {+materialized: table}}\n")
    (project / "models" / "_models.yml").write_text(MODELS_YML)
    (project / "models" / "orders.sql").write_text(ORDERS)
    (project / "models" / "unbuildable.sql").write_text("select amount from {{ ref('orders') }} where nothing")
    for name, sql in SINGULAR.items():
        (project / "tests" / name).write_text(sql)
    monkeypatch.setattr(dbt_runner, "DBT_PROJECT_DIR", project)
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


def by_dbt(settings: Settings) -> dict[str, tuple[str, int]]:
    quiet = ["--log-level", "none", "--log-level-file", "none"]
    results = dbt_runner._invoke([*quiet, "test", *dbt_runner.arguments(settings)]).result.results
    dbt_runner._close()
    outcomes = {r.node.unique_id: (dbt_runner._status(str(r.status)), int(r.failures or 0)) for r in results}
    return {name: outcome for name, outcome in outcomes.items() if name.startswith("test.")}


def outcomes(results: list[NodeResult]) -> dict[str, tuple[str, int]]:
    return {r.unique_id: (r.status, r.failures) for r in results}


def test_each_setting_of_a_data_test_means_what_it_means_to_dbt(small_project: Settings) -> None:
    tests = dbt_runner.data_tests(small_project)
    built = dbt_runner.build(small_project, [], whole=True)
    found = outcomes(dbt_tests.run(small_project, tests, built))
    names = {unique_id.split(".")[2]: outcome for unique_id, outcome in found.items()}
    assert names == {
        "twice_fails": ("fail", 2),
        "twice_warns": ("warn", 2),
        "twice_below_both_thresholds": ("pass", 0),
        "twice_warns_below_the_error": ("warn", 2),
        "twice_never_fails_as_a_warning": ("pass", 0),
        "twice_where_there_is_none": ("pass", 0),
        "null_is_counted_to_the_limit": ("fail", 2),
        "twice_sums_another_measure": ("fail", 4),
        "twice_sums_nothing": ("error", 0),
        "amount_is_there": ("pass", 0),
        "amount_is_in_what_could_not_be_built": ("skipped", 0),
        "test_of_what_could_not_be_built": ("skipped", 0),
        "one_row": ("warn", 1),
        "column_is_gone": ("error", 0),
        "last_line_is_a_comment": ("pass", 0),
    }
    # dbt skips what depends on a failed model in `build`; a failing test of orders does not concern unbuildable
    agreed = by_dbt(small_project)
    assert {name: outcome for name, outcome in agreed.items() if found[name][0] != "skipped"} == {
        name: outcome for name, outcome in found.items() if outcome[0] != "skipped"
    }
    assert {agreed[name][0] for name, outcome in found.items() if outcome[0] == "skipped"} == {"error"}


def test_a_test_is_compiled_anew_when_the_project_changed(small_project: Settings) -> None:
    before = dbt_runner.data_tests(small_project)
    file = dbt_runner.DBT_PROJECT_DIR / "tests" / "one_row.sql"
    file.write_text("select * from {{ ref('orders') }} where amount = 8")
    after = dbt_runner.data_tests(small_project)
    assert "amount = 7" in before["test.small.one_row"]
    assert "amount = 8" in after["test.small.one_row"]


def test_what_is_parsed_is_shared_by_homes_and_named_after_all_it_depends_on(
    small_project: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = dbt_runner.DBT_PROJECT_DIR
    (project / "models" / "orders.sql").write_text("select '{{ env_var('CITY', 'Nantes') }}' as order_id")
    small_project.export()
    was = dbt_runner._content(os.environ)
    monkeypatch.setenv("FIDELIS_WAREHOUSE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("FIDELIS_MEMORY", "1GB")
    (project / "target").mkdir()
    (project / "target" / "manifest.json").write_text("{}")
    assert dbt_runner._content(os.environ) == was
    for variable in ("CITY", "DBT_WARN_ERROR"):
        assert dbt_runner._content({**os.environ, variable: "Lille"}) != was
    file = project / "dbt_project.yml"
    file.write_text(file.read_text() + "vars: {months: 24}\n")
    assert dbt_runner._content(os.environ) != was

    first = dbt_runner.parsed(small_project)
    parsed_at = (first / "manifest.json").stat().st_mtime_ns
    assert dbt_runner.parsed(small_project.model_copy(update={"home": tmp_path / "another"})) == first
    assert (first / "manifest.json").stat().st_mtime_ns == parsed_at
    assert [path.name for path in small_project.cache.iterdir() if path.is_dir()] == [first.name]


def test_dbt_keeps_to_the_memory_and_threads_of_the_settings(small_project: Settings) -> None:
    settings = small_project.model_copy(update={"memory": "512MiB", "threads": 1})
    limits = "select current_setting('memory_limit') as memory, current_setting('threads') as threads"
    (dbt_runner.DBT_PROJECT_DIR / "models" / "limits.sql").write_text(limits)
    settings.export()
    dbt_runner.build(settings, ["--select", "limits"], whole=True)
    with warehouse.connect_built(settings) as con:
        assert con.execute("from main.limits").fetchall() == [("512.0 MiB", 1)]


def test_models_that_lack_memory_are_tried_again_one_at_a_time(small_project: Settings) -> None:
    models = dbt_runner.DBT_PROJECT_DIR / "models"
    too_wide = "{{ config(materialized='table') }} select {{ \"error('Out of Memory Error: ...')\" if target.threads > 1 else 1 }} as one"
    (models / "wide.sql").write_text(too_wide)
    (models / "after_wide.sql").write_text("select one from {{ ref('wide') }}")
    small_project.export()
    found = {r.unique_id: r for r in dbt_runner.build(small_project, [], whole=True)}
    assert {name: r.second_try for name, r in found.items() if r.status == "pass"} == {
        "model.small.orders": False,
        "model.small.wide": True,
        "model.small.after_wide": False,
    }
    assert found["model.small.unbuildable"].status == "error"
    one_at_a_time = small_project.model_copy(update={"dbt_threads": 1})
    one_at_a_time.export()
    assert not any(r.second_try for r in dbt_runner.build(one_at_a_time, ["--select", "wide"], whole=True))


def test_tests_are_compiled_while_another_process_writes_the_build_database(small_project: Settings) -> None:
    """The code location of the UI starts during a night."""
    small_project.warehouse_dir.mkdir(parents=True)
    with duckdb.connect(str(small_project.warehouse_dir / warehouse.WAREHOUSE), config={"threads": 1}):
        assert len(dbt_runner.data_tests(small_project)) == 15


@pytest.mark.slow
def test_the_projects_own_tests_find_in_broken_tables_what_dbt_finds(tmp_path: Path) -> None:
    """Duplicated rows, emptied tables and a column of nulls in the whole mart: most tests fail, and by as much."""
    settings = Settings(home=tmp_path)
    settings.export()
    warehouse.prepare(settings, default_contracts())
    dbt_runner.build(settings, [], whole=True)
    with duckdb.connect(str(settings.warehouse_dir / warehouse.WAREHOUSE)) as con:
        for name in (warehouse.DATAMART, warehouse.RESTRICTED):
            con.execute(f"attach '{settings.warehouse_dir / name}'")
        tables = con.execute("""
            select database_name, schema_name, table_name, list(column_name), list(data_type)
            from duckdb_columns() semi join duckdb_tables() using (database_name, schema_name, table_name)
            where schema_name in ('staging', 'intermediate', 'mart', 'restricted')
            group by all order by all
        """).fetchall()
        for number, (*names, columns, types) in enumerate(tables):
            relation = ".".join(f'"{name}"' for name in names)
            junk = [
                "null" if number % 3 == 0 else f"try_cast('{number}' as {kind})" if number % 3 == 1 else "default"
                for _, kind in zip(columns, types, strict=True)
            ]
            for _ in range(2):
                con.execute(f"insert into {relation} values ({', '.join(junk)})")
    tests = dbt_runner.data_tests(settings)
    found = outcomes(dbt_tests.run(settings, tests, []))
    assert found == by_dbt(settings)
    statuses = [status for status, _ in found.values()]
    assert statuses.count("fail") > 20
    assert statuses.count("warn") > 0
    assert statuses.count("pass") > 20
