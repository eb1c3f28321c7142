"""Customers compressed to cells: all that the likelihoods depend on, each distinct combination once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class InputError(ValueError):
    """Customers that no model of orders can mean; the message says which rule is broken and how often."""


def weighted_sum(weights: Floats, values: Floats) -> float:
    """Sum of products. Not ``np.dot``: BLAS would start threads, whose number changes the last digits."""
    return float(np.einsum("i,i->", weights, values))


def counted(places: Ints, weights: Floats, size: int) -> Floats:
    """Sum of the weights at each of ``size`` places."""
    return np.bincount(places, weights, size).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Cells:
    """Distinct (frequency, recency, age) with the number of customers in each, in ascending order.

    ``inverse`` gives each customer's cell. ``times`` are the distinct recencies and ages, ascending;
    ``at_recency`` and ``at_age`` are places in it, ``counts`` the distinct frequencies, ``at_count`` places in these.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    weight: Floats
    inverse: Ints
    times: Floats
    at_recency: Ints
    at_age: Ints
    counts: Floats
    at_count: Ints

    def __len__(self) -> int:
        return len(self.weight)

    @cached_property
    def customers(self) -> float:
        """Number of customers."""
        return float(self.weight.sum())

    @cached_property
    def repeaters(self) -> float:
        """Customers with at least one repeat order day."""
        return float(self.weight[self.frequency > 0].sum())

    @cached_property
    def mean_age(self) -> float:
        """Mean age, in the data's unit of time."""
        return weighted_sum(self.weight, self.age) / self.customers if self.customers else 0.0

    @cached_property
    def count_weights(self) -> Floats:
        """Customers by distinct frequency."""
        return counted(self.at_count, self.weight, len(self.counts))

    def thinned(self, customers: int) -> "Cells":
        """About ``customers`` of the customers, every n-th in the order of the cells: enough to start a search."""
        step = max(int(self.customers) // customers, 1)
        upto = (np.cumsum(self.weight) + step // 2) // step
        weight = np.diff(upto, prepend=float(step // 2 // step))
        kept = weight > 0
        return _index(self.frequency[kept], self.recency[kept], self.age[kept], weight[kept], np.empty(0, np.int64))

    @classmethod
    def of(cls, frequency: Any, recency: Any, age: Any) -> "Cells":
        """Compress customers. Raises InputError for numbers that no customer can have.

        Frequencies are whole and not negative; 0 <= recency <= age; recency is 0 where and only where frequency is 0.
        """
        x, t, age = (np.ascontiguousarray(v, dtype=np.float64) for v in (frequency, recency, age))
        check_customers(x, t, age)
        if not len(x):
            empty = np.empty(0)
            return _index(empty, empty, empty, empty, np.empty(0, np.int64))
        times, places = _distinct(np.concatenate([t, age]))
        at_recency, at_age = places[: len(x)], places[len(x) :]
        key = (x.astype(np.int64) * len(times) + at_age) * len(times) + at_recency
        distinct, inverse, weight = np.unique(key, return_inverse=True, return_counts=True)
        rest, place = np.divmod(distinct, len(times))
        count, age_place = np.divmod(rest, len(times))
        return _index(count.astype(np.float64), times[place], times[age_place], weight.astype(np.float64), inverse)


def check_customers(x: Floats, t: Floats, age: Floats) -> None:
    """Raise InputError unless these are customers."""
    if not x.ndim == t.ndim == age.ndim == 1 or not len(x) == len(t) == len(age):
        raise InputError(
            f"frequency, recency and age must be three columns of one length, not {x.shape}, {t.shape}, {age.shape}"
        )
    with np.errstate(invalid="ignore"):
        rules = {
            "frequency, recency and age must be finite numbers": ~(np.isfinite(x) & np.isfinite(t) & np.isfinite(age)),
            "frequency must be a whole number, 0 or more and below a million": (x < 0)
            | (x != np.floor(x))
            | (x >= 1e6),
            "recency must not be negative": t < 0,
            "recency must not be greater than age": t > age,
            "recency must be 0 for customers without a repeat order": (x == 0) & (t != 0),
            "recency must be above 0 for customers with a repeat order": (x > 0) & (t == 0),
        }
    for rule, broken in rules.items():
        if broken.any():
            raise InputError(f"{rule}: {int(broken.sum())} of {len(x)} customers break this")


def _distinct(values: Floats) -> tuple[Floats, Ints]:
    """Distinct values and each one's place; by counting where they are whole days, five times faster than sorting."""
    largest = values.max()
    if largest < 1e6 and np.array_equal(whole := values.astype(np.int64), values):
        seen = np.bincount(whole, minlength=int(largest) + 1) > 0
        places = np.cumsum(seen) - 1
        return np.flatnonzero(seen).astype(np.float64), places[whole]
    found, inverse = np.unique(values, return_inverse=True)
    return found, inverse


def _index(x: Floats, t: Floats, age: Floats, weight: Floats, inverse: Ints) -> Cells:
    if not len(x):
        none = np.empty(0, np.int64)
        return Cells(x, t, age, weight, inverse, np.empty(0), none, none, np.empty(0), none)
    times, places = _distinct(np.concatenate([t, age]))
    counts, at_count = _distinct(x)
    return Cells(x, t, age, weight, inverse, times, places[: len(x)], places[len(x) :], counts, at_count)
