"""Columns of numbers to columns of text, by Arrow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sample.draws import Bools, Ints

Column = Any  # a pyarrow string array; pyarrow has no type information


def words(values: Sequence[str | None], positions: Ints) -> Column:
    """The word at each position; a negative position is null."""
    nulls = positions < 0
    index = pa.array(np.where(nulls, 0, positions), mask=nulls)
    return pa.array(values, type=pa.string()).take(index)


def identifiers(prefix: str, numbers: Ints, digits: int) -> Column:
    """`prefix` and a number of at least `digits` digits that begins with 1; negative numbers are null."""
    base = 10 ** (digits - 1)
    text = pc.cast(pa.array(numbers.astype(np.int64) + base, mask=numbers < 0), pa.string())
    return join(prefix, text)


def join(*parts: Column | str) -> Column:
    """Texts one after another; null where a part is null."""
    return pc.binary_join_element_wise(*parts, "")


def separated(columns: Sequence[Column], delimiter: str) -> Column:
    """Rows of a delimited file with their line feed; nulls are empty fields."""
    rows = pc.binary_join_element_wise(*columns, delimiter, null_handling="replace", null_replacement="")
    return pc.binary_join_element_wise(rows, "", "\n")


def or_empty(column: Column, otherwise: str = "") -> Column:
    """Column with nulls replaced."""
    return pc.fill_null(column, otherwise)


def decimals(values: Ints, places: int, sign: str = ".") -> Column:
    """Numbers of the given places, from whole multiples of the last place."""
    scale = 10**places
    whole = pc.cast(pa.array(values // scale), pa.string())
    rest = pc.utf8_slice_codeunits(pc.cast(pa.array(values % scale + scale), pa.string()), 1)
    return pc.binary_join_element_wise(whole, rest, sign)


def numbers(values: Ints) -> Column:
    """Whole numbers."""
    return pc.cast(pa.array(values), pa.string())


def timestamps(seconds: Ints) -> Column:
    """`YYYY-MM-DD HH:MM:SS` of seconds since 1970; negative numbers are null."""
    array = pa.array(seconds, mask=seconds < 0).cast(pa.timestamp("s"))
    return pc.cast(array, pa.string())


def dates(epoch_days: Ints, nulls: Bools | None = None) -> Column:
    """`YYYY-MM-DD` of days since 1970."""
    array = pa.array(epoch_days.astype(np.int32), mask=nulls).cast(pa.date32())
    return pc.cast(array, pa.string())


def booleans(values: Bools) -> Column:
    """`true` and `false`."""
    return words(("false", "true"), values.astype(np.int64))


def where(condition: Bools, column: Column, otherwise: Column | None = None) -> Column:
    """`column` where the condition holds, else `otherwise` (null by default)."""
    other = pa.scalar(None, pa.string()) if otherwise is None else otherwise
    return pc.if_else(pa.array(condition), column, other)


def quoted(value: str, delimiter: str) -> str:
    """A CSV field, quoted if its text needs it."""
    if delimiter in value or '"' in value or "\n" in value:
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value
