"""From a source's value to the contract's type, without ever changing a value in silence.

DuckDB's casts are lenient: they round 2.5 to 3, drop a time zone, read '0x1F' and 'infinity'. Here a text is accepted when
the typed value prints as that same text, or when it matches the type's pattern; anything else is a violation.
"""

from dataclasses import dataclass

from orchestration.contracts import Column, Contract
from orchestration.rules import quote_text

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSET = r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"
_TIMESTAMP = rf"{_DATE}[ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{_OFFSET}?"
_TRUE = "('true', 't', '1', 'yes', 'y')"
_FALSE = "('false', 'f', '0', 'no', 'n')"
#: Every one of these has a text.
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True)
class TypedValue:
    """SQL of the typed value, and SQL that is true where the source's value is not of the type."""

    value: str
    violation: str


def typed(column: Column, contract: Contract, raw: str, raw_type: str) -> TypedValue:
    """Type the source expression ``raw`` (an SQL name of type ``raw_type``) as ``column`` declares."""
    if raw_type == "VARCHAR":
        return _from_text(column, contract, raw)
    return _from_native(column, contract, raw, raw_type)


def _unreadable(value: str, raw: str) -> str:
    return f"{raw} is not null and {value} is null"


def _no_day(moment: str, raw: str) -> str:
    """No moment of the years 1 to 9999: DuckDB also knows infinity and years before Christ."""
    years = "timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999'"
    return f"{raw} is not null and not coalesce({moment} between {years}, false)"


def _checked(value: str, raw: str, pattern: str, printed: str) -> TypedValue:
    """Accept a text equal to ``printed``, SQL of the value's text; only the others are matched against the pattern."""
    violation = (
        f"case when {raw} is null or {printed} = {raw} then false when {value} is null then true "
        f"else not regexp_full_match({raw}, {quote_text(pattern)}) end"
    )
    return TypedValue(value, violation)


def _from_text(column: Column, contract: Contract, raw: str) -> TypedValue:
    kind = column.logical_type
    if kind == "string":  # most databases cannot hold a zero byte, and none of a retailer's texts has one
        return TypedValue(raw, f"contains({raw}, chr(0))")
    if kind == "integer":
        value = f"try_cast({raw} as bigint)"
        return _checked(value, raw, r"\s*[+-]?[0-9]+\s*", f"cast({value} as varchar)")
    if kind == "number":
        scale = int(column.sql_type.rstrip(")").split(",")[1])
        comma = contract.decimal_sign == ","
        sign = "," if comma else "[.]"
        # at least one digit: DuckDB reads '- ' as nought
        pattern = rf"\s*[+-]?([0-9]+({sign}[0-9]{{0,{scale}}}0*)?|{sign}[0-9]{{1,{scale or 1}}}0*)\s*"
        text = f"replace({raw}, ',', '.')" if comma else raw
        value = f"try_cast({text} as {column.sql_type})"
        printed = f"cast({value} as varchar)"
        # with a decimal comma, 1.234 is a thousand or a mistake: never 1 and a bit
        return _checked(value, raw, pattern, f"replace({printed}, '.', ',')" if comma else printed)
    if kind == "boolean":
        value = f"case when lower({raw}) in {_TRUE} then true when lower({raw}) in {_FALSE} then false end"
        return TypedValue(value, _unreadable(value, raw))
    if column.format:
        moment = f"try_strptime({raw}, {quote_text(column.format)})"
        has_offset = "%z" in column.format.lower()
        moment = f"timezone('UTC', {moment})" if has_offset else moment
        value = f"cast({moment} as date)" if kind == "date" else moment
        if kind == "timestamp" and not has_offset:
            value = _to_utc(moment, contract.timezone)
        # strptime takes 'infinity' and 'epoch' for days, whatever the format
        return TypedValue(value, f"{_no_day(moment, raw)} or not regexp_matches({raw}, '[0-9]')")
    if kind == "date":
        value = f"try_cast({raw} as date)"
        printed = f"length({raw}) = 10 and cast({value} as varchar) = {raw}"
        return TypedValue(value, f"{raw} is not null and not coalesce({printed}, false)")
    naive = f"try_cast({raw} as timestamp)"
    value = (
        f"case when {raw}[-1] = 'Z' then try_cast({raw}[:-2] as timestamp) "
        f"when regexp_matches({raw}, ':[0-9.]+[+-][0-9]{{2}}(:?[0-9]{{2}})?$') then timezone('UTC', try_cast({raw} as timestamptz)) "
        f"else {_to_utc(naive, contract.timezone)} end"
    )
    # 19 characters: neither infinity nor a year of five digits or before Christ
    violation = (
        f"case when {raw} is null or (length({raw}) = 19 and cast({naive} as varchar) = {raw}) then false "
        f"else {_no_day(value, raw)} or not regexp_full_match({raw}, {quote_text(_TIMESTAMP)}) end"
    )
    return TypedValue(value, violation)


def _to_utc(naive: str, zone: str) -> str:
    return naive if zone == "UTC" else f"timezone('UTC', timezone({quote_text(zone)}, {naive}))"


def _from_native(column: Column, contract: Contract, raw: str, raw_type: str) -> TypedValue:
    if column.logical_type == "timestamp":
        naive = f"try_cast({raw} as timestamp)"
        with_zone = raw_type == "TIMESTAMP WITH TIME ZONE"
        value = f"timezone('UTC', {raw})" if with_zone else _to_utc(naive, contract.timezone)
        return TypedValue(value, _no_day(naive, raw))
    value = f"try_cast({raw} as {column.sql_type})"
    if column.logical_type == "string" and raw_type in _INTEGERS:
        return TypedValue(value, "false")
    if column.logical_type == "integer" and raw_type.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return TypedValue(value, f"{raw} is not null and {value} is distinct from {raw}")
    if column.logical_type == "number" and raw_type in ("DOUBLE", "FLOAT"):
        # a binary fraction prints with noise; a real difference beyond the declared decimals is not noise
        return TypedValue(
            value, f"{raw} is not null and ({value} is null or abs(cast({value} as double) - {raw}) > 1e-6)"
        )
    if column.logical_type == "number" and raw_type.startswith("DECIMAL"):
        return TypedValue(value, f"{raw} is not null and {value} is distinct from {raw}")
    if column.logical_type == "date" and raw_type.startswith(("DATE", "TIMESTAMP")):
        return TypedValue(value, f"{_no_day(value, raw)} or {value} is distinct from {raw}")
    if column.logical_type == "boolean" and raw_type != "BOOLEAN":
        return TypedValue(value, f"{raw} is not null and cast({value} as integer) is distinct from {raw}")
    return TypedValue(value, _unreadable(value, raw))
