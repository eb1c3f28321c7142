"""What customers ordered, day by day, and what the models see of it at a given day."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from orchestration.customer_value.cells import Bools, Floats, InputError, Ints

#: Months are of one length, so that horizons of different customers and cut-offs can be compared.
DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Summary:
    """The customers known at a day: ``customer`` (their numbers), and Fader and Hardie's statistics in days."""

    customer: Ints
    frequency: Floats
    recency: Floats
    age: Floats
    monetary: Floats

    def __len__(self) -> int:
        return len(self.customer)

    def where(self, chosen: Bools) -> "Summary":
        """The chosen customers."""
        return Summary(
            self.customer[chosen], self.frequency[chosen], self.recency[chosen], self.age[chosen], self.monetary[chosen]
        )


@dataclass(frozen=True)
class OrderDays:
    """One row per customer and day with a kept order, ascending: customer (0, 1, ...), day number, net value, margin.

    The margin is nan where the cost is unknown.
    """

    customer: Ints
    day: Ints
    net: Floats
    margin: Floats

    def __len__(self) -> int:
        return len(self.customer)

    @classmethod
    def of(cls, customer: Any, day: Any, net: Any, margin: Any) -> "OrderDays":
        """Order the rows; raises InputError where a customer has two rows for a day, or a value is no number."""
        customer, day = np.asarray(customer, np.int64), np.asarray(day, np.int64)
        net, margin = np.asarray(net, np.float64), np.asarray(margin, np.float64)
        if not np.isfinite(net).all():
            raise InputError(
                f"the net value must be a number: {int((~np.isfinite(net)).sum())} of {len(net)} order days break this"
            )
        ascending = (np.diff(customer) > 0) | ((np.diff(customer) == 0) & (np.diff(day) >= 0))
        if not ascending.all():
            order = np.lexsort((day, customer))
            customer, day, net, margin = customer[order], day[order], net[order], margin[order]
        twice = int(((np.diff(customer) == 0) & (np.diff(day) == 0)).sum())
        if twice:
            raise InputError(f"a customer has one row per day: {twice} of {len(net)} order days break this")
        return cls(customer, day, net, margin)

    @cached_property
    def size(self) -> int:
        """Customers."""
        return int(self.customer[-1]) + 1 if len(self) else 0

    @property
    def first_day(self) -> int:
        """Day of the first order of all."""
        return int(self.day.min())

    def only(self, customers: Bools) -> "OrderDays":
        """The rows of the chosen customers, whose numbers stay."""
        kept = customers[self.customer]
        return OrderDays(self.customer[kept], self.day[kept], self.net[kept], self.margin[kept])

    def seen(self, day: int) -> "OrderDays":
        """The rows up to a day."""
        kept = self.day <= day
        if kept.all():
            return self
        return OrderDays(self.customer[kept], self.day[kept], self.net[kept], self.margin[kept])

    def summary(self, day: int) -> Summary:
        """Who was known at the end of ``day``: the first order day is left out of frequency and monetary."""
        seen = self.seen(day)
        starts = np.flatnonzero(np.diff(seen.customer, prepend=-1))
        frequency = np.diff(starts, append=len(seen)) - 1
        first, last = seen.day[starts], seen.day[starts + frequency]
        total = np.add.reduceat(seen.net, starts) if len(starts) else np.empty(0)
        repeat = total - seen.net[starts]
        return Summary(
            customer=seen.customer[starts],
            frequency=frequency.astype(np.float64),
            recency=(last - first).astype(np.float64),
            age=(day - first).astype(np.float64),
            monetary=np.divide(repeat, frequency, out=np.zeros(len(starts)), where=frequency > 0),
        )

    def sums(self, values: Floats, after: float, until: float, *, daily_rate: float = 0.0) -> Floats:
        """Sum by customer number over the days in (after, until], discounted to ``after``; nan counts as nothing."""
        chosen = (self.day > after) & (self.day <= until)
        worth = np.nan_to_num(values[chosen]) * np.exp(-daily_rate * (self.day[chosen] - after))
        return np.bincount(self.customer[chosen], worth, self.size).astype(np.float64)
