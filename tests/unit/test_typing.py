"""From a source's text to the contract's type: a value is accepted as it is meant, or it is a violation."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.typed import BAD, read


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
    [
        "12.345",
        "1e3",
        "1E-2",
        "0x1F",
        "1_000.00",
        "1,5",
        "1.5.0",
        "inf",
        "NaN",
        "",
        ".",
        "-",
        "- ",
        "-. ",
        "10000000000000000",
    ],
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
        ("timestamp", "timestamptz", datetime(2024, 1, 15, 8, 30, tzinfo=UTC), datetime(2024, 1, 15, 8, 30)),
        ("timestamp", "timestamp_ns", datetime(2024, 1, 15, 8, 30), datetime(2024, 1, 15, 8, 30)),
        ("timestamp", "timestamp", "infinity", BAD),
        ("date", "date", "infinity", BAD),
        ("string", "integer", 7, "7"),
    ],
)
def test_a_typed_files_values_are_checked_too(logical_type: str, native: str, raw: Any, value: Any) -> None:
    assert read(logical_type, raw, native=native) == value
