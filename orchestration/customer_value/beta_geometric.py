"""BG/NBD and MBG/NBD: customers order at random and may leave after an order.

Fader, Hardie and Lee (2005), "Counting your customers the easy way": while alive a customer orders as a Poisson process with rate
lambda ~ Gamma(r, alpha); after each repeat order the customer leaves with probability p ~ Beta(a, b). In the modified model
(Batislam, Denizel and Filiztekin 2007) leaving is possible after the first order too, so that one-time buyers are not immortal.
"""

from dataclasses import dataclass

import numpy as np

from orchestration.customer_value.cells import Cells, Floats, counted, weighted_sum
from orchestration.customer_value.estimation import Fit, maximise, refused
from orchestration.customer_value.purchases import ROUGH, Lives, lacking


@dataclass(frozen=True)
class BetaGeometric:
    """BG/NBD, or MBG/NBD where ``modified``."""

    name: str
    modified: bool
    parameter_names: tuple[str, ...] = ("r", "alpha", "a", "b")

    def fit(self, cells: Cells, near: Fit | None = None) -> Fit:
        """Maximum likelihood of ``cells``; ``near`` as in ``maximise``."""
        reason = lacking(cells)
        if reason is not None:
            return refused(self.name, self.parameter_names, cells.customers, reason)
        scale = cells.mean_age
        rate = weighted_sum(cells.weight, cells.frequency) / weighted_sum(cells.weight, cells.age)
        starts = [(r, r / (2 * rate), a, b) for r, a, b in ((1.0, 1.0, 3.0), (0.3, 0.5, 1.0), (3.0, 0.3, 6.0))]
        bounds = [(1e-4, 1e3), (1e-5 * scale, 1e3 * scale), (1e-4, 1e3), (1e-4, 1e4)]
        rough = _Likelihood(cells.thinned(ROUGH), self.modified) if len(cells) > 2 * ROUGH else None
        likelihood = _Likelihood(cells, self.modified)
        return maximise(self.name, self.parameter_names, likelihood, starts, bounds, cells.customers, rough, near)

    def p_alive(self, theta: Floats, frequency: Floats, recency: Floats, age: Floats) -> Floats:
        """Probability of not having left; 1 for BG/NBD's one-time buyers, by that model's assumption."""
        from scipy.special import expit

        r, alpha, a, b = theta
        before = np.maximum(frequency - 1 + self.modified, 0)
        odds = np.log(a / (b + before)) + (r + frequency) * np.log1p((age - recency) / (alpha + recency))
        alive: Floats = expit(-odds)
        return alive if self.modified else np.where(frequency > 0, alive, 1.0)

    def orders_if_alive(self, theta: Floats, frequency: Floats, age: Floats, horizon: Floats | float) -> Floats:
        """Expected orders in ``horizon``: equation (10) of the paper without its denominator, P(alive).

        Euler's transformation leaves a hypergeometric function whose first two arguments do not grow with frequency: the published
        form overflows from about 200 orders on.
        """
        r, alpha, a, b = theta
        if abs(a - 1) < 1e-5:
            # the published form is 0 / 0 at a = 1; the expectation is smooth there
            below, above = (
                self.orders_if_alive(np.array([r, alpha, 1 + e, b]), frequency, age, horizon) for e in (-2e-5, 2e-5)
            )
            return (below + above) / 2
        from scipy.special import hyp2f1

        c = a + b + frequency - 1 + self.modified
        w = horizon / (alpha + age + horizon)
        unspent = np.exp((a - 1) * np.log1p(-w)) * hyp2f1(c - r - frequency, a - 1, c, w)
        orders: Floats = c / (a - 1) * (1 - unspent)
        return orders

    def wait_if_alive(
        self, theta: Floats, frequency: Floats, age: Floats, probability: Floats, longest: float
    ) -> Floats:
        """Time within which the next order comes with ``probability``; who is alive always orders once more."""
        r, alpha = theta[:2]
        with np.errstate(divide="ignore", over="ignore"):
            wait = (alpha + age) * np.expm1(-np.log1p(-np.minimum(probability, 1)) / (r + frequency))
        return np.where(wait <= longest, wait, np.inf)

    def draw_lives(self, thetas: Floats, frequency: float, age: Floats | float, rng: np.random.Generator) -> Lives:
        """Rates of the posterior of who is alive; the hazard of leaving is rate x p, and comes with an order."""
        r, alpha, a, b = thetas.T
        rate = rng.standard_gamma(r + frequency) / (alpha + age)
        leaving = rng.beta(a, b + frequency + self.modified)
        return Lives(rate * (1 - leaving), rate * leaving, leaves_ordering=True)


BG_NBD = BetaGeometric("bg_nbd", modified=False)
MBG_NBD = BetaGeometric("mbg_nbd", modified=True)


class _Likelihood:
    """Log-likelihood per customer and gradient, both on the log scale of the parameters.

    Only the last factor needs the cells; the others need customers by frequency and by age.
    """

    def __init__(self, cells: Cells, modified: bool) -> None:
        self.modified = modified
        self.customers = cells.customers
        self.counts, self.by_count = cells.counts, cells.count_weights
        self.times = cells.times
        size = len(cells.times)
        self.by_age = counted(cells.at_age, cells.weight, size)
        self.orders_by_age = counted(cells.at_age, cells.weight * cells.frequency, size)
        # who has not ordered again can only have left in the modified model
        may = np.ones(len(cells), bool) if modified else cells.frequency > 0
        self.weight, self.frequency = cells.weight[may], cells.frequency[may]
        self.at_count, self.at_age, self.at_recency = cells.at_count[may], cells.at_age[may], cells.at_recency[may]

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        from scipy.special import betaln, expit, gammaln, psi

        r, alpha, a, b = theta = np.exp(point)
        n, x, w_x = self.customers, self.counts, self.by_count
        stays = x + self.modified
        log_time, inverse_time = np.log(alpha + self.times), 1 / (alpha + self.times)
        exposed = r * self.by_age + self.orders_by_age
        value = (
            weighted_sum(w_x, gammaln(r + x) - gammaln(r) + betaln(a, b + stays) - betaln(a, b))
            + n * r * np.log(alpha)
            - weighted_sum(exposed, log_time)
        )
        before = np.maximum(x - 1 + self.modified, 0)
        span = log_time[self.at_age] - log_time[self.at_recency]
        power = r + self.frequency
        odds = power * span
        odds += np.log(a / (b + before))[self.at_count]
        np.maximum(odds, -700, out=odds)
        left = expit(odds)
        value += weighted_sum(self.weight, odds - np.log(left))
        left *= self.weight
        left_by_count = counted(self.at_count, left, len(x))
        power *= left
        left_ages = inverse_time[self.at_age] - inverse_time[self.at_recency]
        gradient = np.array([
            weighted_sum(w_x, psi(r + x) - psi(r)) + n * np.log(alpha) - weighted_sum(self.by_age, log_time)
            + weighted_sum(left, span),
            n * r / alpha - weighted_sum(exposed, inverse_time) + weighted_sum(power, left_ages),
            weighted_sum(w_x, psi(a + b) - psi(a + b + stays)) + left.sum() / a,
            weighted_sum(w_x, psi(a + b) - psi(b) + psi(b + stays) - psi(a + b + stays))
            - weighted_sum(left_by_count, 1 / (b + before)),
        ])  # fmt: skip
        return float(value) / n, gradient * theta / n
