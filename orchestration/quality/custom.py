"""Your own expectations: any native Great Expectations column expectation, on the rows of the delivery.

Add a NativeCheck to NATIVE_CHECKS. It becomes an asset check of the table, runs in every night's gate on
the columns it names (pandas engine) and shows its figures in the UI. See docs/how-to/add-a-check.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


@dataclass(frozen=True)
class NativeCheck:
    """A Great Expectations expectation on columns of one table; ``build`` makes it (imports inside)."""

    name: str
    table: str
    columns: tuple[str, ...]
    blocking: bool
    description: str
    build: Callable[[], "Expectation"]


def _median_price() -> "Expectation":
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnMedianToBeBetween(column="unit_price", min_value=1, max_value=1000)


NATIVE_CHECKS: tuple[NativeCheck, ...] = (
    NativeCheck(
        name="unit_price_is_not_in_cents",
        table="order_lines",
        columns=("unit_price",),
        blocking=False,
        description="The median unit price lies between 1 and 1,000: an export in cents would be a hundred times off.",
        build=_median_price,
    ),
)
