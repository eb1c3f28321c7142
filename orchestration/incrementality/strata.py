"""Difference of two means among customers who are alike: by strata, weighted by the treated."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from orchestration.incrementality.arms import CONFIDENCE, Arm, Effect, InputError

#: Fewer on either side are not compared: the interval leans on means being normal.
FEWEST = 30


@dataclass(frozen=True)
class Matched:
    """The effect on the treated, the customers it is of on either side, and what the control would be in the mix of the treated."""

    effect: Effect
    treated: int
    control: int
    value_treated: float
    value_control: float


def matched_difference(strata: Sequence[tuple[Arm, Arm]]) -> Matched:
    """Effect on the treated over strata of (treated, control): each stratum's difference weighs as many as are treated in it.

    The interval adds the strata's variances of means, with Satterthwaite's degrees of freedom (1946). A stratum with fewer than
    two on a side tells no variance and is left out, whatever its values. Raises InputError where fewer than ``FEWEST``
    remain on a side.
    """
    compared = [(a, b) for a, b in strata if min(a.customers, b.customers) > 1]
    treated, control = (sum(pair[side].customers for pair in compared) for side in (0, 1))
    if min(treated, control) < FEWEST:
        raise InputError(
            f"{treated} customers and {control} alike to compare with; {FEWEST} on either side are the least."
        )
    means = [
        sum(
            (a.customers * Fraction(arm.total) / arm.customers for a, b in compared for arm in ((a, b)[side],)),
            Fraction(0),
        )
        / treated
        for side in (0, 1)
    ]
    errors = [
        ((a.customers / treated) ** 2 * arm.variance / arm.customers, arm.customers - 1)
        for a, b in compared
        for arm in (a, b)
    ]
    difference = float(means[0] - means[1])
    error = sum(e for e, _ in errors)
    if error == 0:
        effect = Effect(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    else:
        from scipy.special import stdtr, stdtrit

        freedom = error**2 / sum(e**2 / free for e, free in errors)
        half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * sqrt(error)
        effect = Effect(
            difference, difference - half, difference + half, 2 * float(stdtr(freedom, -abs(difference) / sqrt(error)))
        )
    return Matched(effect, treated, control, float(means[0]), float(means[1]))
