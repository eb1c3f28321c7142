"""The project's data tests as one batch over one connection, judged as dbt judges them.

dbt declares and compiles them; run as its nodes, 160 tests cost ten times what their SQL costs. After a build that replaced the rows of
touched keys only, a test looks at the rows that may have broken it since it passed (docs/decisions.md).
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb

from orchestration import dbt_runner, warehouse
from orchestration.dbt_runner import NodeResult
from orchestration.settings import Settings

#: A table of fewer rows is judged whole: finding the replaced ones costs as much.
SMALL_TABLE = 100_000
#: A table of which a larger share was replaced is judged whole.
FEW = 0.1
#: Tests that each row passes or breaks alone; of the nulls of a column, DuckDB's statistics know without a look.
_OF_ONE_ROW = {"accepted_values", "expression_is_true"}
#: A test that no row may break.
_STRICT = {"fail_calc": "count(*)", "warn_if": "!= 0", "error_if": "!= 0"}


def run(
    settings: Settings, tests: Collection[str], built: Sequence[NodeResult], *, replaced_only: bool = False
) -> list[NodeResult]:
    """Run data tests (unique ids) on what is in the build database; one result each, in the order of their ids.

    A test of a model that could not be built is skipped, as dbt skips it. ``replaced_only``: the build replaced the rows of touched
    keys, and what was there before had passed all tests, so that a test is spared the rows that cannot break it.
    """
    nodes = dbt_runner.load_manifest(settings)["nodes"]
    compiled = dbt_runner.data_tests(settings)
    missing = {r.unique_id for r in built if r.status != "pass"}
    results = []
    with warehouse.connect_built(settings) as con:
        suspects = _Suspects(con, nodes) if replaced_only else None
        for unique_id in sorted(tests):
            if not missing.isdisjoint(nodes[unique_id]["depends_on"]["nodes"]):
                results.append(NodeResult(unique_id, "skipped", 0.0, "", 0))
                continue
            sql, rows = compiled[unique_id], suspects.of(nodes[unique_id]) if suspects else {}
            for relation, judged in rows.items():
                sql = sql.replace(relation, judged)
            results.append(_run_one(con, unique_id, nodes[unique_id]["config"], sql, bool(rows)))
    return results


class _Suspects:
    """What stands in for a table in a test: its rows that may break the test since the last build, of which no row broke it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, nodes: Mapping[str, Any]) -> None:
        self._con, self._nodes = con, nodes
        self._models = {n["name"]: n for n in nodes.values() if n["resource_type"] in ("model", "seed")}
        self._ids: dict[str, str | None] = {}
        self._gone: dict[tuple[str, str], str] = {}

    def of(self, test: Mapping[str, Any]) -> dict[str, str]:
        """By relation; empty where a test is to see all rows, as one is that some rows could break and it passed, or warned."""
        config = test["config"]
        if (str(config["severity"]).lower(), *(config[name] for name in _STRICT)) != ("error", *_STRICT.values()):
            return {}
        if test.get("test_metadata") is None:
            return self._of_keys(**config["meta"]["by_key"]) if "by_key" in config["meta"] else {}
        kind, given = test["test_metadata"]["name"], test["test_metadata"]["kwargs"]
        model = self._nodes[test["attached_node"]]
        replaced = self._replaced(model["name"])
        if replaced is None:
            return {}
        relation, meta = model["relation_name"], model["config"]["meta"]
        rows = f"(select * from {relation} where {replaced})"
        if kind in _OF_ONE_ROW:
            return {relation: rows}
        if kind == "unique_grain":
            # rows of one grain share the keys that are of it: all of them were replaced, or none
            if not {c for columns, _ in _touched_by(meta) for c in columns} <= set(given["columns"]):
                same = " and ".join(f"kept.{c} is not distinct from replaced.{c}" for c in given["columns"])
                rows = f"(select kept.* from {relation} as kept semi join {rows} as replaced on {same})"
            return {relation: rows}
        if kind == "relationships":
            parent = next(self._nodes[n] for n in test["depends_on"]["nodes"] if n != model["unique_id"])
            if given["field"] in parent["config"]["meta"].get("referenced", ()):
                gone = f"{given['column_name']} in (from {self._gone_keys(parent, given['field'])})"
                ids = " union all ".join(f"select rowid from {relation} where {c}" for c in (replaced, gone))
                return {relation: f"(select * from {relation} where rowid in ({ids}))"}
        return {}

    def _of_keys(self, tables: Sequence[str], key: str, replaced_in: Sequence[str]) -> dict[str, str]:
        """The tables' rows of the keys of which a row was replaced, in them or in what the test compares them with."""
        keys = []
        for name in replaced_in:
            replaced = self._replaced(name)
            if replaced is None:
                return {}
            keys.append(f"select {key} from {self._models[name]['relation_name']} where {replaced}")
            keys.append(f"select {key} from control.replaced_{name}")
        judged = f'temp."{key} of {", ".join(replaced_in)}"'
        self._con.execute(f"create or replace temp table {judged} as {' union '.join(keys)}")
        relations = [self._models[table]["relation_name"] for table in tables]
        return {r: f"(select * from {r} where {key} in (from {judged}) or {key} is null)" for r in relations}

    def _replaced(self, name: str) -> str | None:
        """The condition of the rows that the build replaced in a model; None where the model is judged whole."""
        if name not in self._ids:
            self._ids[name] = None
            relation, config = self._models[name]["relation_name"], self._models[name]["config"]
            meta = config["meta"]
            # a column that an update sets in all rows is another one in those that stay
            stays = "touched_by" in meta and not any("update " in hook["sql"] for hook in config["post-hook"])
            total = self._one(f"select count(*) from {relation}")[0] if stays else 0
            if total > SMALL_TABLE:
                ids = f'temp."ids of {name}"'
                touched = " or ".join(condition for _, condition in _touched_by(meta))
                self._con.execute(f"create temp table {ids} as select rowid as id from {relation} where {touched}")
                count, first, last = self._one(
                    f"select count(*), coalesce(min(id), 0), coalesce(max(id), -1) from {ids}"
                )
                if count <= total * FEW:
                    # they are at the end of the table: the range spares reading what is before it
                    self._ids[name] = f"rowid between {first} and {last} and rowid in (from {ids})"
        return self._ids[name]

    def _gone_keys(self, parent: Mapping[str, Any], field: str) -> str:
        """A table of the values that a column had before the build and has no more; ``macros/incremental/touched.sql`` keeps them."""
        name = parent["name"]
        if (name, field) not in self._gone:
            gone = self._gone[name, field] = f'temp."{field} gone from {name}"'
            self._con.execute(
                f"create temp table {gone} as select {field} from control.replaced_{name} as replaced where not exists "
                f"(select 1 from {parent['relation_name']} as kept where kept.{field} = replaced.{field})"
            )
        return self._gone[name, field]

    def _one(self, query: str) -> Any:
        return self._con.execute(query).fetchone()


def _touched_by(meta: Mapping[str, Any]) -> list[tuple[list[str], str]]:
    """Columns that name the rows which a build replaces, and the condition of those rows, as in ``macros/incremental/touched.sql``."""
    keys = [(k["columns"], ", ".join(k["columns"]), k["table"]) for k in meta["touched_by"]]
    conditions = [(columns, f"({names}) in (select ({names}) from {table})") for columns, names, table in keys]
    return conditions + [([c], f"{c} is null") for c in meta.get("touched_where_null", ())]


def _run_one(
    con: duckdb.DuckDBPyConnection, unique_id: str, config: Mapping[str, Any], sql: str, of_replaced: bool = False
) -> NodeResult:
    began = time.perf_counter()
    try:
        row = con.execute(counting(sql, config)).fetchone()
        assert row is not None
        failures, should_warn, should_error = row
        if failures is None:
            raise ValueError(f"fail_calc {config['fail_calc']} gave null")
    except (duckdb.Error, ValueError) as error:
        return NodeResult(unique_id, "error", time.perf_counter() - began, str(error), 0, sql, of_replaced)
    seconds = time.perf_counter() - began
    if should_error and str(config["severity"]).lower() == "error":
        sentence = f"{_got(failures)}, configured to fail if {config['error_if']}"
        return NodeResult(unique_id, "fail", seconds, sentence, int(failures), sql, of_replaced)
    if should_warn:
        sentence = f"{_got(failures)}, configured to warn if {config['warn_if']}"
        return NodeResult(unique_id, "warn", seconds, sentence, int(failures), sql, of_replaced)
    return NodeResult(unique_id, "pass", seconds, "", 0, sql, of_replaced)


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
