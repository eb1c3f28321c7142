"""From a source's text to the contract's type: a value is accepted as it is meant, or it is a violation."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-7", -7), ("+5", 5), ("007", 7), (" 12 ", 12), ("9223372036854775807", 2**63 - 1), (None, None)],
)
def test_a_whole_number_is_an_integer(text: str | None, value: int | None) -> None:
    assert read("integer", text) == value


@pytest.mark.parametrize(
    "text",
    ["2.5", "2.0", "1e3", "0x1F", "0b1", "1_000", "1,000", "", "-", "abc", "9223372036854775808", "NaN", "true", "1 2"],
)
def test_anything_else_is_no_integer(text: str) -> None:
    assert read("integer", text) == BAD


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.34", "12.34"), ("12.3", "12.30"), ("12", "12.00"), ("12.3400", "12.34"), (".5", "0.50"), ("-0.01", "-0.01")],
)
def test_a_number_with_at_most_the_declared_decimals_is_accepted(text: str, value: str) -> None:
    assert read("number", text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["12.345", "1e3", "1E-2", "0x1F", "1_000.00", "1,5", "1.5.0", "inf", "NaN", "", ".", "-", "10000000000000000"],
)
def test_anything_else_is_no_number_with_two_decimals(text: str) -> None:
    assert read("number", text) == BAD


@pytest.mark.parametrize(
    ("text", "value"),
    [("12,34", Decimal("12.34")), ("-0,5", Decimal("-0.50")), ("12", Decimal("12.00"))]
    + [(text, BAD) for text in ("12.34", "1.50", "1.234,56", "1,2,3", "12,345", "1.234")],
)
def test_with_a_decimal_comma_a_point_is_never_taken_for_one(text: str, value: Any) -> None:
    assert read("number", text, decimal_sign=",") == value


def test_a_thousands_point_is_refused_even_where_it_would_print_the_same() -> None:
    assert read("number", "1.500", sql_type="decimal(18,3)", decimal_sign=",") == BAD


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=2))
def test_every_amount_of_two_decimals_comes_back_as_written(amount: Decimal) -> None:
    assert read("number", f"{amount:f}") == amount
    assert read("number", f"{amount:f}".replace(".", ","), decimal_sign=",") == amount


@given(st.text(st.sampled_from("0123456789+-.,eE_x \t'\""), max_size=9))
def test_an_accepted_number_equals_the_text_as_python_reads_it(text: str) -> None:
    for kind in ("integer", "number"):
        value = read(kind, text)
        if value != BAD:
            assert value == Decimal(text.strip())
            assert not set(text) & set("eE_x,")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("T", True),
        ("1", True),
        ("Yes", True),
        ("FALSE", False),
        ("n", False),
        ("0", False),
        (None, None),
    ]
    + [(text, BAD) for text in ("2", "ja", "", " true", "10", "on")],
)
def test_truth_has_a_short_list_of_spellings(text: str | None, value: Any) -> None:
    assert read("boolean", text) == value


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2023-02-29",
        "0000-01-01",
        "2024-1-1",
        "24-01-01",
        "01/02/2024",
        "2024-01-01 00:00:00",
        "infinity",
        "epoch",
        "-infinity",
        "0044-03-15 (BC)",
        "10000-01-01",
        "2024-13-01",
        "",
        "today",
        "20240101",
        "2024/01/01",
        " 2024-01-01",
    ],
)
def test_what_is_not_a_day_of_the_calendar_is_no_date(text: str) -> None:
    assert read("date", text) == BAD


@given(st.dates())
def test_every_day_comes_back_as_written(day: date) -> None:
    assert read("date", day.isoformat()) == day
    assert read("date", f"{day:%d/%m/}{day.year:04}", form="%d/%m/%Y") == day


@pytest.mark.parametrize("text", ["30/02/2024", "2024-02-01", "31/04/2024", "infinity", "1/2", "01/02/2024 10:00", ""])
def test_a_declared_format_holds_for_dates(text: str) -> None:
    assert read("date", text, form="%d/%m/%Y") == BAD


MORNING = datetime(2024, 1, 15, 8, 30)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 08:30:00",
        "2024-01-15T08:30:00",
        "2024-01-15T08:30:00Z",
        "2024-01-15T08:30Z",
        "2024-01-15 08:30",
        "2024-01-15 08:30:00.000",
        "2024-01-15 10:30:00+02:00",
        "2024-01-15T10:30:00+0200",
        "2024-01-15 10:30:00+02",
        "2024-01-15T03:30:00-05:00",
        "2024-01-15T14:00:00.000+05:30",
        "2024-01-15T08:30:00+00:00",
    ],
)
def test_a_moment_is_stored_in_utc_however_it_is_written(text: str) -> None:
    assert read("timestamp", text) == MORNING


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30 10:00:00",
        "2024-01-01",
        "2024-01-01 25:00:00",
        "2024-01-01 10:00:00 UTC",
        "2024-01-01 10:00:00 Europe/Paris",
        "infinity",
        "-infinity",
        "epoch",
        "0044-03-15 00:00:00 (BC)",
        "10000-01-01 00:00:00",
        "2024-01-01 10:00:00+25:00",
        "now",
        "2024-1-1 10:00:00",
        "2024-01-01 10:00:00.1234567",
        "2024-01-01 10:00:60",
        "0000-01-01 00:00:00",
        "",
        "1704067200",
    ],
)
def test_what_is_no_moment_is_no_timestamp(text: str) -> None:
    assert read("timestamp", text) == BAD


@given(st.datetimes(), st.integers(-14 * 4, 14 * 4))
def test_an_offset_is_never_dropped(moment: datetime, quarters: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    text = f"{moment.isoformat()}{aware:%z}"
    expected = datetime(1, 1, 1) + (moment - datetime(1, 1, 1) - timedelta(minutes=15 * quarters))
    for zone in ("UTC", "America/New_York"):
        value = read("timestamp", text, timezone=zone)
        assert value in (expected, BAD)
        assert value == expected or abs(quarters) == 14 * 4


@pytest.mark.parametrize("form", [None, "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-15 12:00:00", datetime(2024, 1, 15, 11)),
        ("2024-07-15 12:00:00", datetime(2024, 7, 15, 10)),
        ("2024-03-31 01:59:59", datetime(2024, 3, 31, 0, 59, 59)),
        ("2024-03-31 03:00:00", datetime(2024, 3, 31, 1)),
        ("2024-10-27 01:59:59", datetime(2024, 10, 26, 23, 59, 59)),
        ("2024-10-27 03:00:00", datetime(2024, 10, 27, 2)),
    ],
)
def test_local_times_without_an_offset_follow_daylight_saving(form: str | None, text: str, utc: datetime) -> None:
    assert read("timestamp", text, form=form, timezone="Europe/Paris") == utc


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda t: t.replace(microsecond=0)))
def test_a_local_time_is_the_moment_that_pythons_zones_know(local: datetime) -> None:
    zone = ZoneInfo("Europe/Paris")
    moments = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)}
    assert read("timestamp", str(local), timezone="Europe/Paris") in moments


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_a_format_with_an_offset_counts_from_it_and_not_from_the_zone(zone: str) -> None:
    form = "%d/%m/%Y %H:%M:%S %z"
    assert read("timestamp", "15/01/2024 10:30:00 +0200", form=form, timezone=zone) == MORNING
    assert read("timestamp", "15/01/2024 10:30:00", form=form, timezone=zone) == BAD


@pytest.mark.parametrize(
    ("logical_type", "native", "raw", "value"),
    [
        ("integer", "double", 2.5, BAD),
        ("integer", "double", 2.0, 2),
        ("integer", "decimal(9,2)", Decimal("2.50"), BAD),
        ("integer", "decimal(9,2)", Decimal("2.00"), 2),
        ("integer", "hugeint", 2**70, BAD),
        ("number", "double", 0.1 + 0.2, Decimal("0.30")),
        ("number", "double", 12.345, BAD),
        ("number", "double", float("nan"), BAD),
        ("number", "double", float("inf"), BAD),
        ("number", "decimal(9,3)", Decimal("12.345"), BAD),
        ("number", "integer", 7, Decimal("7.00")),
        ("date", "timestamp", datetime(2024, 1, 15), date(2024, 1, 15)),
        ("date", "timestamp", datetime(2024, 1, 15, 0, 0, 1), BAD),
        ("boolean", "boolean", True, True),
        ("boolean", "integer", 1, True),
        ("boolean", "integer", 2, BAD),
        ("timestamp", "timestamptz", datetime(2024, 1, 15, 8, 30, tzinfo=UTC), MORNING),
        ("timestamp", "timestamp_ns", MORNING, MORNING),
        ("timestamp", "timestamp", "infinity", BAD),
        ("date", "date", "infinity", BAD),
        ("string", "integer", 7, "7"),
    ],
)
def test_a_typed_files_values_are_checked_too(logical_type: str, native: str, raw: Any, value: Any) -> None:
    assert read(logical_type, raw, native=native) == value


def test_a_typed_local_time_is_taken_in_the_contracts_zone() -> None:
    noon = datetime(2024, 7, 15, 12)
    assert read("timestamp", noon, native="timestamp", timezone="Europe/Paris") == datetime(2024, 7, 15, 10)
    aware = datetime(2024, 7, 15, 12, tzinfo=UTC)
    assert read("timestamp", aware, native="timestamptz", timezone="Europe/Paris") == noon
