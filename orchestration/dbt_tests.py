"""The project's data tests as one batch over one connection, judged as dbt judges them.

dbt declares and compiles them; run as its nodes, 160 tests cost ten times what their SQL costs.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb

from orchestration import dbt_runner, warehouse
from orchestration.dbt_runner import NodeResult
from orchestration.settings import Settings


def run(settings: Settings, tests: Collection[str], built: Sequence[NodeResult]) -> list[NodeResult]:
    """Run data tests (unique ids) on what is in the build database; one result each, in the order of their ids.

    A test of a model that could not be built is skipped, as dbt skips it.
    """
    nodes = dbt_runner.load_manifest(settings)["nodes"]
    compiled = dbt_runner.data_tests(settings)
    missing = {r.unique_id for r in built if r.status != "pass"}
    results = []
    with warehouse.connect_built(settings) as con:
        for unique_id in sorted(tests):
            if missing.isdisjoint(nodes[unique_id]["depends_on"]["nodes"]):
                results.append(_run_one(con, unique_id, nodes[unique_id]["config"], compiled[unique_id]))
            else:
                results.append(NodeResult(unique_id, "skipped", 0.0, "", 0))
    return results


def _run_one(con: duckdb.DuckDBPyConnection, unique_id: str, config: Mapping[str, Any], sql: str) -> NodeResult:
    began = time.perf_counter()
    try:
        row = con.execute(counting(sql, config)).fetchone()
        assert row is not None
        failures, should_warn, should_error = row
        if failures is None:
            raise ValueError(f"fail_calc {config['fail_calc']} gave null")
    except (duckdb.Error, ValueError) as error:
        return NodeResult(unique_id, "error", time.perf_counter() - began, str(error), 0, sql)
    seconds = time.perf_counter() - began
    if should_error and str(config["severity"]).lower() == "error":
        sentence = f"{_got(failures)}, configured to fail if {config['error_if']}"
        return NodeResult(unique_id, "fail", seconds, sentence, int(failures), sql)
    if should_warn:
        sentence = f"{_got(failures)}, configured to warn if {config['warn_if']}"
        return NodeResult(unique_id, "warn", seconds, sentence, int(failures), sql)
    return NodeResult(unique_id, "pass", seconds, "", 0, sql)


def _got(failures: int) -> str:
    return f"Got {failures} result{'s' if failures != 1 else ''}"


def counting(sql: str, config: Mapping[str, Any]) -> str:
    """What dbt asks of a data test: one row with the failures, and whether they warn and fail."""
    limit = f"limit {config['limit']}" if config.get("limit") is not None else ""
    calculation = config["fail_calc"]
    return f"""select
    {calculation} as failures,
    {calculation} {config["warn_if"]} as should_warn,
    {calculation} {config["error_if"]} as should_error
from (
    {sql}
    {limit}
) as dbt_internal_test"""
