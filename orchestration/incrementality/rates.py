"""Differences of two rates."""

from math import sqrt

from orchestration.incrementality.arms import CONFIDENCE, Arm, Effect, InputError

#: Below this expected count in a cell of the 2 x 2 table, the normal approximation gives way to Fisher's exact test.
_FEW = 5


def wilson_interval(successes: int, customers: int) -> tuple[float, float]:
    """95 % score interval of a rate (Wilson 1927)."""
    from scipy.special import ndtri

    if not 0 <= successes <= customers or customers == 0:
        raise InputError(f"{successes} of {customers} customers is no rate.")
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    rate, n = successes / customers, customers
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _fisher(s1: int, n1: int, s2: int, n2: int) -> float:
    """Two-sided p-value of Fisher's exact test: all tables of these margins that are no likelier than the one found.

    scipy.stats has it too, and takes a second and a half to import.
    """
    import numpy as np
    from scipy.special import gammaln

    s = s1 + s2
    first = max(0, s - n2)
    k = np.arange(first, min(n1, s) + 1)
    logs = -(gammaln(k + 1) + gammaln(n1 - k + 1) + gammaln(s - k + 1) + gammaln(n2 - s + k + 1))
    likelihoods = np.exp(logs - logs.max())
    as_likely = likelihoods <= likelihoods[s1 - first] * (1 + 1e-7)  # equal ones differ by rounding
    return float(likelihoods[as_likely].sum() / likelihoods.sum())


def difference_of_rates(treated: Arm, control: Arm) -> Effect:
    """Difference of two independent rates with Newcombe's hybrid score interval (1998, method 10).

    The p-value is that of the score test (pooled two-sample z), of Fisher's exact test where a cell is expected to have fewer than 5.
    """
    from scipy.special import ndtr

    s1, n1, s2, n2 = int(treated.total), treated.customers, int(control.total), control.customers
    (low1, high1), (low2, high2) = wilson_interval(s1, n1), wilson_interval(s2, n2)
    p1, p2 = s1 / n1, s2 / n2
    difference = p1 - p2
    low = difference - sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    high = difference + sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    pooled = (s1 + s2) / (n1 + n2)
    if min(pooled, 1 - pooled) * min(n1, n2) < _FEW:
        p_value = _fisher(s1, n1, s2, n2)
    else:
        z = difference / sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
        p_value = 2 * float(ndtr(-abs(z)))
    return Effect(difference, low, high, min(p_value, 1.0))
