"""What the models take for granted, looked at: each a finding, none a crash."""

from dataclasses import dataclass

import numpy as np

from orchestration.customer_value.cells import Floats
from orchestration.customer_value.history import OrderDays, Summary

#: A year: seasons would otherwise be taken for customers leaving. Deliveries of one calendar year give 364 days.
YEAR = 364
MIN_REPEATERS = 100
MAX_CORRELATION = 0.2


@dataclass(frozen=True)
class Finding:
    """One check: ``value`` beside ``limit``, and a sentence."""

    check: str
    passed: bool
    value: float
    limit: float
    message: str


def findings(history: OrderDays, customers: Summary, day: int) -> list[Finding]:
    """The checks on the history up to ``day``; no check depends on another."""
    repeat = customers.frequency > 0
    repeaters = int(repeat.sum())
    span = day - history.first_day if len(history) else 0
    found = [
        Finding("a_year_of_history", span >= YEAR, span, YEAR, f"orders span {span:,} days; seasons need a year"),
        Finding(
            "enough_repeat_customers", repeaters >= MIN_REPEATERS, repeaters, MIN_REPEATERS,
            f"{repeaters:,} of {len(customers):,} customers ordered on more than one day",
        ),
    ]  # fmt: skip
    correlation = _correlation(customers.frequency[repeat], customers.monetary[repeat])
    found.append(
        Finding(
            "spend_independent_of_frequency", abs(correlation) <= MAX_CORRELATION, correlation, MAX_CORRELATION,
            f"rank correlation of frequency and mean value of an order day is {correlation:.2f}; Gamma-Gamma takes it for 0",
        )
    )  # fmt: skip
    negative = int((customers.monetary[repeat] <= 0).sum())
    found.append(
        Finding(
            "spend_above_zero", negative <= 0.01 * repeaters, negative, 0.01 * repeaters,
            f"{negative:,} repeat customers spent nothing or less on average; their spend is left out of the fit and taken as 0",
        )
    )  # fmt: skip
    margins = float(np.isfinite(history.margin).mean()) if len(history) else 0.0
    found.append(
        Finding("costs_known", margins >= 0.9, margins, 0.9, f"the cost of {margins:.0%} of the order days is known")
    )
    return found


def _correlation(x: Floats, y: Floats) -> float:
    """Spearman's; 0 where there is nothing to correlate."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def ranks(values: Floats) -> Floats:
    """Mean rank of equal values; scipy.stats has it too, and takes a second to import."""
    _, place, size = np.unique(values, return_inverse=True, return_counts=True)
    result: Floats = (np.cumsum(size) - (size - 1) / 2)[place]
    return result
