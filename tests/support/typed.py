"""One value typed by the SQL that extraction uses."""

from dataclasses import replace
from functools import cache
from typing import Any

import duckdb

from orchestration.contracts import Column, default_contracts
from orchestration.sources.typing import typed

BAD = "bad"
CONTRACT = default_contracts()["orders"]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("set TimeZone = 'UTC'")
    return con


def read(
    logical_type: str,
    raw: Any,
    *,
    sql_type: str = "",
    form: str | None = None,
    native: str = "varchar",
    **contract: str,
) -> Any:
    """The typed value of a raw one, or BAD."""
    defaults = {"integer": "bigint", "number": "decimal(18,2)", "string": "varchar"}
    sql_type = sql_type or defaults.get(logical_type, logical_type)
    column = Column("c", logical_type, sql_type, "", "internal", header="c", format=form)
    raw_type = native.upper().replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
    result = typed(column, replace(CONTRACT, **contract), "raw", raw_type)
    row = connection().execute(
        f"select cast({result.value} as {sql_type}), {result.violation} from (select cast(? as {native}) as raw)", [raw]
    )
    value, violated = row.fetchall()[0]
    return BAD if violated else value
