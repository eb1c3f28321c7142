"""Pareto/NBD: customers order at random and leave at a random moment, seen by nobody.

Schmittlein, Morrison and Colombo (1987), "Counting your customers: who are they and what will they do next?": orders are a Poisson
process with rate lambda ~ Gamma(r, alpha), lifetimes are exponential with rate mu ~ Gamma(s, beta).

The likelihood of one customer is a product for "still here" plus an integral over the moment of leaving, from the last order to
now. It is usually written with two hypergeometric functions; here the integral is taken from tables over all
distinct times, one row per distinct frequency. That gives the gradient too, and costs no special function per customer.
"""

from dataclasses import dataclass

import numpy as np

from orchestration.customer_value.cells import Cells, Floats, Ints, counted, weighted_sum
from orchestration.customer_value.estimation import Fit, maximise, refused
from orchestration.customer_value.purchases import ROUGH, Lives, lacking

#: Gauss-Legendre on [0, 1]: three nodes, on a piece over which the integrand falls by a fifth at most, are exact to 1e-8.
_NODES, _WEIGHTS = ((v + o) / 2 for v, o in zip(np.polynomial.legendre.leggauss(3), (1.0, 0.0), strict=True))
_STEEPEST = 0.25

#: Falls by more than e^600 along one frequency's table leave the range of doubles: those rows are summed as logarithms.
_DOUBLES = 600.0


@dataclass(frozen=True)
class ParetoNBD:
    """The model; one instance serves all fits."""

    name: str = "pareto_nbd"
    parameter_names: tuple[str, ...] = ("r", "alpha", "s", "beta")

    def fit(self, cells: Cells, near: Fit | None = None) -> Fit:
        """Maximum likelihood of ``cells``; ``near`` as in ``maximise``."""
        reason = lacking(cells)
        if reason is not None:
            return refused(self.name, self.parameter_names, cells.customers, reason)
        scale = cells.mean_age
        rate = weighted_sum(cells.weight, cells.frequency) / weighted_sum(cells.weight, cells.age)
        starts = [(r, r / (2 * rate), s, b * scale) for r, s, b in ((1.0, 1.0, 0.5), (0.3, 0.3, 0.3), (3.0, 0.5, 2.0))]
        bounds = [(1e-4, 1e3), (1e-5 * scale, 1e3 * scale), (1e-4, 1e3), (1e-5 * scale, 1e4 * scale)]
        rough = _Likelihood(cells.thinned(ROUGH)) if len(cells) > 2 * ROUGH else None
        likelihood = _Likelihood(cells)
        return maximise(self.name, self.parameter_names, likelihood, starts, bounds, cells.customers, rough, near)

    def p_alive(self, theta: Floats, frequency: Floats, recency: Floats, age: Floats) -> Floats:
        """Probability of not having left."""
        from scipy.special import expit

        cells = Cells.of(frequency, recency, age)
        likelihood = _Likelihood(cells)
        alive: Floats = expit(-likelihood.odds(theta, _Tails(theta, cells.counts, cells.times, likelihood.first))[0])
        return alive[cells.inverse]

    def orders_if_alive(self, theta: Floats, frequency: Floats, age: Floats, horizon: Floats | float) -> Floats:
        """Expected orders in ``horizon``."""
        r, alpha, s, beta = theta
        growth = np.log1p(horizon / (beta + age))
        # (1 - e^(-(s-1) growth)) / (s - 1), which is growth at s = 1
        power = (s - 1) * growth
        integral = growth * np.where(np.abs(power) < 1e-9, 1.0, -np.expm1(-power) / np.where(power == 0, 1, power))
        orders: Floats = (r + frequency) * (beta + age) / (alpha + age) * integral
        return orders

    def wait_if_alive(
        self, theta: Floats, frequency: Floats, age: Floats, probability: Floats, longest: float
    ) -> Floats:
        """Time within which the next order comes with ``probability``, by interpolation over 100 moments."""
        r, alpha, s, beta = theta
        moments = longest * np.linspace(0, 1, 101) ** 2
        widths = np.diff(moments)
        edges = moments[:-1, None] + widths[:, None] * _NODES
        history, at = np.unique(np.stack([frequency, age]), axis=1, return_inverse=True)
        wait = np.full(len(frequency), np.inf)
        order = np.argsort(at, kind="stable")
        # a table row per distinct frequency and age, in portions that stay in the processor's cache
        for first in range(0, history.shape[1], 500):
            x, t = history[:, first : first + 500, None, None]
            low, high = np.searchsorted(at, [first, first + 500], sorter=order)
            rows = order[low:high]
            density = np.exp(-(r + x + 1) * np.log1p(edges / (alpha + t)) - s * np.log1p(edges / (beta + t)))
            steps = np.einsum("hmk,k->hm", density, _WEIGHTS) * widths * ((r + x) / (alpha + t))[:, :, 0]
            reached = np.cumsum(steps, axis=1)
            row, wanted = at[rows] - first, probability[rows]
            # rows one above the other make one ascending sequence, in which all are looked up at once
            lift = 2.0 * np.arange(len(reached))
            place = np.searchsorted((reached + lift[:, None]).ravel(), wanted + lift[row]) - row * len(widths)
            ends = place < len(widths)
            row, place, wanted = row[ends], place[ends], wanted[ends]
            share = 1 - (reached[row, place] - wanted) / steps[row, place]
            wait[rows[ends]] = moments[place] + np.clip(share, 0, 1) * widths[place]
        return wait

    def draw_lives(self, thetas: Floats, frequency: float, age: Floats | float, rng: np.random.Generator) -> Lives:
        """Rates and hazards of the posterior of who is alive."""
        r, alpha, s, beta = thetas.T
        rate = rng.standard_gamma(r + frequency) / (alpha + age)
        return Lives(rate, rng.standard_gamma(s) / (beta + age), leaves_ordering=False)


PARETO_NBD = ParetoNBD()


class _Likelihood:
    """Log-likelihood per customer and gradient, both on the log scale of the parameters."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.customers = cells.customers
        size = len(cells.times)
        self.at_recency = cells.at_count * size + cells.at_recency
        self.at_age = cells.at_count * size + cells.at_age
        self.has_gap = cells.recency < cells.age
        #: by frequency, the place of its earliest last order: nothing before it is asked for
        self.first = np.full(len(cells.counts), size)
        np.minimum.at(self.first, cells.at_count, cells.at_recency)

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        from scipy.special import expit, gammaln, psi

        r, alpha, s, beta = theta = np.exp(point)
        cells, n = self.cells, self.customers
        x, w_x = cells.counts, cells.count_weights
        tails = _Tails(theta, x, cells.times, self.first)
        odds, alive_now, rest = self.odds(theta, tails)
        value = weighted_sum(w_x, gammaln(r + x) - gammaln(r)) + n * (r * np.log(alpha) + s * np.log(beta))
        left = expit(odds)
        # ln(1 + e^odds) = -ln(1 - left), without its cancellation where left is close to 1
        value += weighted_sum(cells.weight, alive_now + np.where(odds > 0, odds, 0) + np.log1p(np.exp(-np.abs(odds))))
        left *= cells.weight
        here = cells.weight - left
        size = len(cells.times)
        # of who has left, the time from recency to age: what the tail from recency has more than the tail from age
        share = np.divide(left, 1 - rest, out=np.zeros_like(left), where=self.has_gap)
        begin, end = (
            counted(at, w, len(x) * size) for at, w in ((self.at_recency, share), (self.at_age, share * rest))
        )
        by_count, by_moment = tails.left_at(begin.reshape(-1, size), end.reshape(-1, size))
        u = tails.moments
        here_by_age = counted(cells.at_age, here, size)
        orders_by_age = counted(cells.at_age, here * (r + cells.frequency), size)
        gone = float(left.sum())
        gradient = np.array([
            weighted_sum(w_x, psi(r + x) - psi(r)) + n * np.log(alpha)
            - weighted_sum(here_by_age, np.log(alpha + cells.times)) - weighted_sum(by_moment, np.log(alpha + u)),
            n * r / alpha - weighted_sum(orders_by_age, 1 / (alpha + cells.times)) - weighted_sum(by_count, 1 / (alpha + u)),
            n * np.log(beta) - weighted_sum(here_by_age, np.log(beta + cells.times)) + gone / s
            - weighted_sum(by_moment, np.log(beta + u)),
            n * s / beta - s * weighted_sum(here_by_age, 1 / (beta + cells.times))
            - (s + 1) * weighted_sum(by_moment, 1 / (beta + u)),
        ])  # fmt: skip
        return float(value) / n, gradient * theta / n

    def odds(self, theta: Floats, tails: "_Tails") -> tuple[Floats, Floats, Floats]:
        """Of each cell: log odds of having left, log of the term "still here", and tail(age) / tail(recency)."""
        r, alpha, s, beta = theta
        cells = self.cells
        flat = tails.log.ravel()
        from_recency = flat[self.at_recency]
        with np.errstate(invalid="ignore"):
            rest = np.where(self.has_gap, np.exp(flat[self.at_age] - from_recency), 1.0)
        alive_now = -(r + cells.frequency) * np.log(alpha + cells.age) - s * np.log(beta + cells.age)
        with np.errstate(divide="ignore"):
            # a last order on the day of the look leaves no time to have left in
            odds = np.where(self.has_gap, np.log(s) + from_recency + np.log1p(-rest) - alive_now, -np.inf)
        return odds, alive_now, rest


class _Tails:
    """Integrals of f(u) = (alpha+u)^-(r+x) (beta+u)^-(s+1) from each time to the last, by frequency x (row) and time.

    ``log`` holds their logarithms. Tails, not from zero: differences of neighbours then lose no digits. Times before ``first``
    of a row are not needed and not valid. ``moments`` are the places where f is looked at.
    """

    def __init__(self, theta: Floats, counts: Floats, times: Floats, first: Ints) -> None:
        r, alpha, s, beta = theta
        power = (r + counts)[:, None]
        self.power = power.ravel()
        knots, self.kept = _refined(times, theta, counts, first)
        widths = np.diff(knots)
        u = knots[:-1] + widths * _NODES[:, None]
        self.moments = u.ravel()
        start_a, start_b = np.log1p(knots[:-1] / alpha), np.log1p(knots[:-1] / beta)
        # relative to the left end of each piece: nothing under- or overflows, whatever the frequency
        since_a, since_b = np.log1p(u / alpha) - start_a, np.log1p(u / beta) - start_b
        #: by moment of a piece, frequency and piece
        self.pieces = -power * since_a[:, None]
        self.pieces += (np.log(_WEIGHTS)[:, None] - (s + 1) * since_b)[:, None]
        np.exp(self.pieces, out=self.pieces)
        whole = self.pieces.sum(axis=0)
        level = -power * start_a - (s + 1) * start_b + np.log(widths)
        top = level[np.arange(len(counts)), np.minimum(self.kept[first], len(widths) - 1)][:, None]
        level -= top
        self.steep = (-level[:, -1] > _DOUBLES).ravel()
        self.steep_level = level[self.steep]
        # before `first` nobody looks, but nothing may overflow there
        self.scale = np.exp(np.minimum(level, 50.0))
        self.sums = np.zeros((len(counts), len(widths) + 1))
        self.sums[:, :-1] = np.cumsum((whole * self.scale)[:, ::-1], axis=1)[:, ::-1]
        self.sums = self.sums[:, self.kept]
        with np.errstate(divide="ignore"):
            log = np.log(self.sums)
        if self.steep.any():
            exact = self.steep_level + np.log(whole[self.steep])
            exact = np.logaddexp.accumulate(exact[:, ::-1], axis=1)[:, ::-1]
            log[self.steep, :-1] = exact[:, self.kept[:-1]]
        self.relative = log
        self.log = log + top - power * np.log(alpha) - (s + 1) * np.log(beta)

    def left_at(self, begin: Floats, end: Floats) -> tuple[Floats, Floats]:
        """Customers who left, by moment: each times r + x, and each once.

        ``begin`` and ``end`` (frequency, time) are customers per tail that they are spread over: those of ``begin`` less those of ``end``.
        """
        rate = np.zeros(self.sums.shape)
        np.divide(begin - end, self.sums, out=rate, where=self.sums > 0)
        pieces = np.diff(self.kept)
        spread = np.repeat(np.cumsum(rate, axis=1)[:, :-1], pieces, axis=1) * self.scale
        if self.steep.any():
            parts = []
            for customers in (begin[self.steep], end[self.steep]):
                log = np.full(customers.shape, -np.inf)
                some = customers > 0
                log[some] = np.log(customers[some]) - self.relative[self.steep][some]
                upto = np.repeat(np.logaddexp.accumulate(log, axis=1)[:, :-1], pieces, axis=1)
                parts.append(np.exp(self.steep_level + upto))
            spread[self.steep] = parts[0] - parts[1]
        once = np.einsum("mxk,xk->mk", self.pieces, spread)
        spread *= self.power[:, None]
        return np.einsum("mxk,xk->mk", self.pieces, spread).ravel(), once.ravel()


def _refined(times: Floats, theta: Floats, counts: Floats, first: Ints) -> tuple[Floats, Ints]:
    """The times with enough more between them that no piece is too steep for the quadrature; and where the times are."""
    r, alpha, s, beta = theta
    largest = np.zeros(len(times))
    np.maximum.at(largest, first, counts)
    largest = np.maximum.accumulate(largest)[:-1]
    steep = (r + largest) * np.diff(np.log(alpha + times)) + (s + 1) * np.diff(np.log(beta + times))
    pieces = np.maximum(np.ceil(steep / _STEEPEST), 1).astype(np.int64)
    kept = np.concatenate([[0], np.cumsum(pieces)])
    if (pieces == 1).all():
        return times, kept
    # equal steps of ln(alpha + u): where the power of frequency is steep, so is this
    ends = np.log(alpha + times)
    step = np.repeat(np.diff(ends) / pieces, pieces)
    place = np.arange(kept[-1]) - np.repeat(kept[:-1], pieces)
    knots = np.append(np.exp(np.repeat(ends[:-1], pieces) + step * place) - alpha, times[-1])
    knots[kept] = times
    return knots, kept
