"""Gamma-Gamma: what customers spend on an order day.

Fader and Hardie (2013), "The Gamma-Gamma model of monetary value": the values of a customer's order days are Gamma(p, nu) with
nu ~ Gamma(q, v), whatever their number; ``monetary`` is their mean over ``frequency`` days.
"""

from dataclasses import dataclass

import numpy as np

from orchestration.customer_value.cells import Floats, InputError, counted, weighted_sum
from orchestration.customer_value.estimation import Fit, Verdict, maximise, refused
from orchestration.customer_value.purchases import FEWEST_REPEATERS


@dataclass(frozen=True)
class GammaGamma:
    """The model; one instance serves all fits."""

    name: str = "gamma_gamma"
    parameter_names: tuple[str, ...] = ("p", "q", "v")

    def fit(self, frequency: Floats, monetary: Floats, near: Fit | None = None) -> Fit:
        """Maximum likelihood over the customers with a repeat order whose mean value is above zero.

        A mean of zero or less (returns, gifts) has no probability in this model; such customers are left out here and counted by the
        checks of assumptions. ``near`` as in ``maximise``. Raises InputError for values that are no numbers.
        """
        x, m = np.asarray(frequency, np.float64), np.asarray(monetary, np.float64)
        if x.shape != m.shape or x.ndim != 1:
            raise InputError(f"frequency and monetary must be two columns of one length, not {x.shape} and {m.shape}")
        broken = (x > 0) & ~np.isfinite(m)
        if broken.any():
            raise InputError(f"monetary must be a finite number: {int(broken.sum())} of {len(x)} customers break this")
        known = (x > 0) & (m > 0)
        x, m = x[known], m[known]
        order = np.argsort(m)
        # numpy sorts short integers by their digits
        order = order[np.argsort(x[order].astype(np.min_scalar_type(int(x.max(initial=0)))), kind="stable")]
        x, m = x[order], m[order]
        n = len(x)
        if n < FEWEST_REPEATERS:
            reason = f"{n} customers ordered again for more than nothing; {FEWEST_REPEATERS} are the least"
            return refused(self.name, self.parameter_names, n, reason)
        if np.ptp(m) <= 1e-9 * m.mean():
            return refused(self.name, self.parameter_names, n, "all customers spend the same amount")
        scale = float(m.mean())
        starts = [(4.0, 4.0, 3.0 * scale / 4), (1.0, 2.0, scale), (20.0, 10.0, scale / 2)]
        bounds = [(1e-3, 1e4), (1e-2, 1e4), (1e-6 * scale, 1e4 * scale)]
        rough = _Likelihood(x[::25], m[::25]) if n > 50_000 else None
        fit = maximise(self.name, self.parameter_names, _Likelihood(x, m), starts, bounds, n, rough, near)
        if fit.verdict.usable and fit.parameters["q"] <= 1:
            reason = "the mean value of an order day is infinite (q <= 1): a few customers spend out of all proportion"
            return _with(fit, Verdict("not_identified", reason))
        return fit

    def order_value(self, theta: Floats, frequency: Floats, monetary: Floats) -> Floats:
        """Expected value of a future order day, between the customer's own mean and that of all customers.

        A negative mean counts as zero: it cannot be expected of every future order.
        """
        p, q, v = theta
        known = np.where(frequency > 0, np.maximum(monetary, 0), 0)
        value: Floats = p * (v + frequency * known) / (p * frequency + q - 1)
        return value


def _with(fit: Fit, verdict: Verdict) -> Fit:
    from dataclasses import replace

    return replace(fit, verdict=verdict)


GAMMA_GAMMA = GammaGamma()


class _Likelihood:
    """Log-likelihood per customer and gradient, both on the log scale of the parameters."""

    def __init__(self, frequency: Floats, monetary: Floats) -> None:
        self.x, self.total = frequency, frequency * monetary
        self.customers = len(frequency)
        self.counts, at_count = np.unique(frequency, return_inverse=True)
        self.at_count = at_count
        self.by_count = counted(at_count, np.ones(len(frequency)), len(self.counts))
        self.log_total = counted(at_count, np.log(self.total), len(self.counts))
        self.log_monetary = float(np.log(monetary).sum())

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        from scipy.special import gammaln, psi

        p, q, v = theta = np.exp(point)
        n, c, w = self.customers, self.counts, self.by_count
        shape = p * c
        spread = v + self.total
        log_spread = counted(self.at_count, np.log(spread), len(c))
        inverse = counted(self.at_count, 1 / spread, len(c))
        # ln m^(px-1) x^(px) = px ln(x m) - ln m
        value = (
            weighted_sum(w, gammaln(shape + q) - gammaln(shape))
            + n * (q * np.log(v) - gammaln(q))
            + weighted_sum(shape, self.log_total)
            - self.log_monetary
            - weighted_sum(shape + q, log_spread)
        )
        gradient = np.array(
            [
                weighted_sum(w * c, psi(shape + q) - psi(shape)) + weighted_sum(c, self.log_total - log_spread),
                weighted_sum(w, psi(shape + q)) + n * (np.log(v) - psi(q)) - log_spread.sum(),
                n * q / v - weighted_sum(shape + q, inverse),
            ]
        )
        return float(value) / n, gradient * theta / n
