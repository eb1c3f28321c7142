"""Random draws that come out the same on every machine.

Only the raw stream of PCG64, integers and the four exact arithmetic operations are used: logarithm and
exponential are computed here, because those of the C library differ in the last digit between machines,
and one digit is enough to move an order to another day.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# 64 bits, but for the longest columns at rest, which are widened before arithmetic
Ints = npt.NDArray[np.signedinteger]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


def exact_log(x: Floats) -> Floats:
    """Natural logarithm of positive numbers, by the series of atanh; error below 3e-16 relative."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.70710678118654752
    mantissa = np.where(low, mantissa + mantissa, mantissa)
    power = np.where(low, exponent - 1, exponent).astype(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.zeros_like(s)
    for odd in range(21, 0, -2):
        series = series * square + 1.0 / odd
    result: Floats = power * _LN2_HIGH + (2.0 * s * series + power * _LN2_LOW)
    return result


def exact_exp(x: Floats) -> Floats:
    """Exponential, by its series after taking out powers of two; arguments within +-700."""
    clipped = np.clip(x, -700.0, 700.0)
    power = np.rint(clipped * 1.4426950408889634)
    rest = (clipped - power * _LN2_HIGH) - power * _LN2_LOW
    series = np.ones_like(rest)
    for k in range(15, 0, -1):
        series = 1.0 + series * rest / k
    result: Floats = np.ldexp(series, power.astype(np.int32))
    return result


def divide_rounded(numerator: Ints, denominator: int | Ints) -> Ints:
    """Integer division of non-negative numbers, halves rounded up (away from zero)."""
    result: Ints = (2 * numerator + denominator) // (2 * np.asarray(denominator, dtype=np.int64))
    return result


class Draws:
    """A stream of random numbers named by a seed and a purpose.

    Each part of the generator has its own stream, so that a change in one leaves the others as they were.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        sequence = np.random.SeedSequence([seed, *purpose.encode()])
        self._generator = np.random.Generator(np.random.PCG64(sequence))

    def uniform(self, n: int) -> Floats:
        """n numbers in [0, 1)."""
        return self._generator.random(n)

    def integers(self, low: int, high: int, n: int) -> Ints:
        """n integers in [low, high)."""
        return self._generator.integers(low, high, n, dtype=np.int64)

    def chance(self, probability: float | Floats, n: int) -> Bools:
        """n trials with the given probability of true."""
        result: Bools = self.uniform(n) < probability
        return result

    def pick(self, weights: Sequence[int], n: int) -> Ints:
        """n positions in `weights`, each with a probability proportional to its weight."""
        edges = np.cumsum(np.asarray(weights, dtype=np.int64))
        chosen = np.searchsorted(edges, self.integers(0, int(edges[-1]), n), side="right")
        return chosen.astype(np.int64)

    def order(self, n: int) -> Ints:
        """A random permutation of 0..n-1."""
        return np.argsort(self.integers(0, 1 << 62, n), kind="stable").astype(np.int64)

    def exponential(self, n: int) -> Floats:
        """n draws from the exponential distribution with mean 1."""
        result: Floats = -exact_log(1.0 - self.uniform(n))
        return result

    def normal(self, n: int) -> Floats:
        """n draws from the standard normal distribution (Marsaglia's polar method)."""
        parts: list[Floats] = []
        have = 0
        while have < n:
            size = (n - have) * 2 // 3 + 16
            u, v = 2.0 * self.uniform(size) - 1.0, 2.0 * self.uniform(size) - 1.0
            square = u * u + v * v
            inside = (square < 1.0) & (square > 0.0)
            u, v, square = u[inside], v[inside], square[inside]
            scale = np.sqrt(-2.0 * exact_log(square) / square)
            parts += [u * scale, v * scale]
            have += 2 * len(u)
        return np.concatenate(parts)[:n] if parts else np.zeros(0)

    def gamma(self, shape: float, n: int) -> Floats:
        """n draws from Gamma(shape, rate 1) (Marsaglia and Tsang; a power of a uniform below shape 1)."""
        if shape < 1.0:
            base = self.gamma(shape + 1.0, n)
            result: Floats = base * exact_exp(exact_log(1.0 - self.uniform(n)) / shape)
            return result
        d = shape - 1.0 / 3.0
        c = 1.0 / float(np.sqrt(9.0 * d))
        out = np.empty(n)
        left = np.arange(n)
        while len(left):
            x = self.normal(len(left))
            u = 1.0 - self.uniform(len(left))
            v = 1.0 + c * x
            positive = v > 0.0
            cube = np.where(positive, v * v * v, 1.0)
            accepted = positive & (exact_log(u) < 0.5 * x * x + d - d * cube + d * exact_log(cube))
            out[left[accepted]] = d * cube[accepted]
            left = left[~accepted]
        return out

    def beta(self, a: float, b: float, n: int) -> Floats:
        """n draws from Beta(a, b)."""
        first, second = self.gamma(a, n), self.gamma(b, n)
        result: Floats = first / (first + second)
        return result
