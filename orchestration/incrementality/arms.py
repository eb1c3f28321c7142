"""An arm of a test as exact sums, so that no figure depends on the order of rows; and the effect between two arms."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

#: Two-sided confidence of every interval.
CONFIDENCE = 0.95


class InputError(ValueError):
    """The figures of an arm contradict each other; the message says how."""


@dataclass(frozen=True)
class Arm:
    """Customers of an arm with the sums of an outcome ``y`` and of a covariate ``x`` from before the test.

    ``total`` is the sum of y and ``squares`` of y * y; ``past``, ``past_squares`` and ``products`` are those of x, x * x and x * y.
    For a rate y is 0 or 1, and ``total`` is the number of successes.
    """

    customers: int
    total: Fraction
    squares: Fraction
    past: Fraction = Fraction(0)
    past_squares: Fraction = Fraction(0)
    products: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.customers < 0:
            raise InputError(f"An arm cannot have {self.customers} customers.")
        if self.customers * self.squares < self.total * self.total:
            raise InputError(
                f"{self.customers} values with the sum {self.total} cannot have the squares {self.squares}."
            )

    @staticmethod
    def of(y: Iterable[object], x: Iterable[object] | None = None) -> "Arm":
        """The arm of single values: numbers, decimals or texts of numbers, taken exactly."""
        outcome = [Fraction(str(v)) for v in y]
        past = [Fraction(0)] * len(outcome) if x is None else [Fraction(str(v)) for v in x]
        return Arm(
            len(outcome),
            sum(outcome, Fraction(0)),
            sum((v * v for v in outcome), Fraction(0)),
            sum(past, Fraction(0)),
            sum((v * v for v in past), Fraction(0)),
            sum((v * w for v, w in zip(outcome, past, strict=True)), Fraction(0)),
        )

    @property
    def mean(self) -> float:
        """Mean of y."""
        return float(self.total / self.customers)

    @property
    def past_mean(self) -> float:
        """Mean of x."""
        return float(self.past / self.customers)

    def spread(self, a: Fraction, b: Fraction, ab: Fraction) -> float:
        """Sample covariance from two sums and the sum of products; needs two customers."""
        return float((ab - a * b / self.customers) / (self.customers - 1))

    @property
    def variance(self) -> float:
        """Sample variance of y."""
        return self.spread(self.total, self.total, self.squares)

    @property
    def past_variance(self) -> float:
        """Sample variance of x."""
        return self.spread(self.past, self.past, self.past_squares)

    @property
    def covariance(self) -> float:
        """Sample covariance of x and y."""
        return self.spread(self.total, self.past, self.products)

    def plus(self, other: "Arm") -> "Arm":
        """Both arms taken as one."""
        return Arm(
            self.customers + other.customers,
            self.total + other.total,
            self.squares + other.squares,
            self.past + other.past,
            self.past_squares + other.past_squares,
            self.products + other.products,
        )


@dataclass(frozen=True)
class Effect:
    """Difference treated minus control per customer, its 95 % interval and two-sided p-value.

    ``variance_kept`` is the share of the variance that an adjustment left, 1 without one.
    """

    difference: float
    low: float
    high: float
    p_value: float
    variance_kept: float = 1.0
