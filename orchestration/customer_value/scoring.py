"""From fitted models to each customer's expected orders, discounted value, 80 % interval and next order."""

from dataclasses import dataclass

import numpy as np

from orchestration.customer_value.cells import Cells, Floats, Ints
from orchestration.customer_value.estimation import Fit
from orchestration.customer_value.gamma_gamma import GAMMA_GAMMA
from orchestration.customer_value.history import DAYS_PER_MONTH, Summary
from orchestration.customer_value.purchases import PurchaseModel

#: Draws of a customer's future per point of the grid; the 10 % and 90 % quantiles are then exact to 0.7 per cent of rank.
DRAWS = 2000
SEED = 20050524

#: Quantiles kept of those who are alive. None above 90 % is ever asked for.
_LEVELS = np.linspace(0.0, 0.9, 91)
COVERAGE = 0.8


@dataclass(frozen=True)
class Prediction:
    """Of each customer: arrays of shape (customers,), or (horizons, customers) for what depends on the horizon.

    ``value``, ``low``, ``high`` are discounted and in the unit that ``value_per_net`` gives; ``wait`` is the number of days within
    which the next order comes with one half, infinite where none is to be expected. ``none`` is the probability of no order.
    """

    p_alive: Floats
    orders: Floats
    order_value: Floats
    value: Floats
    low: Floats
    high: Floats
    none: Floats
    wait: Floats


def daily_rate(annual_rate: float) -> float:
    """Continuous discount rate per day of an annual one."""
    return float(np.log1p(annual_rate) / 365.25)


def predict(
    model: PurchaseModel,
    fit: Fit,
    spend: Fit,
    customers: Summary,
    months: tuple[int, ...],
    annual_rate: float,
    value_per_net: float,
    cells: Cells | None = None,
    *,
    intervals: bool = True,
    draws: int = DRAWS,
) -> Prediction:
    """Score customers. ``months`` are the horizons, ascending; ``cells`` may be given where they are known.

    Without ``intervals``, low and high are nan.
    """
    cells = Cells.of(customers.frequency, customers.recency, customers.age) if cells is None else cells
    theta, rate = fit.theta, daily_rate(annual_rate)
    ends = np.array(months, np.float64) * DAYS_PER_MONTH
    alive = model.p_alive(theta, cells.frequency, cells.recency, cells.age)
    pair, place = np.unique(cells.at_count * len(cells.times) + cells.at_age, return_inverse=True)
    count, age = cells.counts[pair // len(cells.times)], cells.times[pair % len(cells.times)]
    orders, discounted = _expected_orders(model, theta, count, age, ends, rate)
    order_value = GAMMA_GAMMA.order_value(spend.theta, customers.frequency, customers.monetary)
    worth = order_value * value_per_net
    to_customer = cells.inverse
    value = (alive * discounted[:, place])[:, to_customer] * worth
    low = high = none = np.full_like(value, np.nan)
    if intervals:
        table = _futures(model, fit, spend, customers, cells, ends, rate, draws)
        quantiles = table.interval(alive, cells)
        low, high, none = (v[:, to_customer] for v in quantiles)
        # a margin below zero turns the interval round
        low, high = np.minimum(low * worth, high * worth), np.maximum(low * worth, high * worth)
    with np.errstate(divide="ignore"):
        needed = np.minimum(0.5 / alive, 1.0)
    wait = np.full(len(cells), np.inf)
    likely = alive > 0.5
    wait[likely] = model.wait_if_alive(theta, cells.frequency[likely], cells.age[likely], needed[likely], ends[-1])
    return Prediction(
        p_alive=alive[to_customer],
        orders=(alive * orders[:, place])[:, to_customer],
        order_value=order_value,
        value=value,
        low=low,
        high=high,
        none=none,
        wait=wait[to_customer],
    )


def _expected_orders(
    model: PurchaseModel, theta: Floats, count: Floats, age: Floats, ends: Floats, rate: float
) -> tuple[Floats, Floats]:
    """Expected orders of who is alive up to each of ``ends``, plain and discounted: (horizons, customers) each.

    Integrated by parts, the discounted sum is e^(-rate h) E(h) + rate x integral of e^(-rate u) E(u), which is smooth.
    """
    nodes, weights = np.polynomial.legendre.leggauss(4)
    plain, discounted = [], []
    integral = np.zeros(len(count))
    start = 0.0
    for end in ends:
        half = (end - start) / 2
        for node, weight in zip(nodes, weights, strict=True):
            moment = start + half * (node + 1)
            integral = integral + weight * half * np.exp(-rate * moment) * model.orders_if_alive(
                theta, count, age, moment
            )
        expected = model.orders_if_alive(theta, count, age, end)
        plain.append(expected)
        discounted.append(np.exp(-rate * end) * expected + rate * integral)
        start = end
    return np.array(plain), np.array(discounted)


@dataclass(frozen=True)
class _Futures:
    """Quantiles of the discounted value of who is alive, in expected order values, on a grid of frequency and age.

    ``quantiles`` has shape (horizons, counts, ages, levels), ``nothing`` the share without any order (horizons, counts, ages).
    """

    counts: Floats
    ages: Floats
    quantiles: Floats
    nothing: Floats

    def interval(self, alive: Floats, cells: Cells) -> tuple[Floats, Floats, Floats]:
        """Low and high ends of the 80 % intervals of cells, and the probability of no order: (horizons, cells) each.

        Where no order at all is not unlikely (10 % or more), the interval begins at 0 and ends at the 80 % quantile: with the 10 % and 90 %
        quantiles, 0 being the 10 % one, it would hold 90 %. Below, it lies between these quantiles.
        """
        i, u = _between(self.counts, cells.frequency)
        j, v = _between(self.ages, cells.age)
        corners = [(i, j, (1 - u) * (1 - v)), (i + 1, j, u * (1 - v)), (i, j + 1, (1 - u) * v), (i + 1, j + 1, u * v)]
        lows, highs, nones = [], [], []
        for quantiles, nothing in zip(self.quantiles, self.nothing, strict=True):
            none = 1 - alive + alive * sum(w * nothing[a, b] for a, b, w in corners)
            from_zero = none >= (1 - COVERAGE) / 2
            top = np.where(from_zero, COVERAGE, (1 + COVERAGE) / 2)
            lows.append(np.where(from_zero, 0.0, _quantile(quantiles, corners, alive, 1 - top)))
            highs.append(np.where(none >= COVERAGE, 0.0, _quantile(quantiles, corners, alive, top)))
            nones.append(none)
        return np.array(lows), np.array(highs), np.array(nones)


def _between(grid: Floats, values: Floats) -> tuple[Ints, Floats]:
    """The interval of the grid that holds each value, and the place within it from 0 to 1."""
    place = np.clip(np.searchsorted(grid, values, side="right") - 1, 0, len(grid) - 2)
    return place, np.clip((values - grid[place]) / (grid[place + 1] - grid[place]), 0, 1)


def _quantile(table: Floats, corners: list[tuple[Ints, Ints, Floats]], alive: Floats, level: Floats) -> Floats:
    """Quantile of a value that is 0 for who has left: of the living, the level beyond the share of those who have left."""
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.where(alive > 1 - level, (level - (1 - alive)) / alive, 0.0)
    k, share = _between(_LEVELS, within)
    result: Floats = sum(
        (w * (table[a, b, k] * (1 - share) + table[a, b, k + 1] * share) for a, b, w in corners), np.zeros(len(alive))
    )
    return np.where(alive > 1 - level, result, 0.0)


def _futures(
    model: PurchaseModel, fit: Fit, spend: Fit, customers: Summary, cells: Cells, ends: Floats, rate: float, draws: int
) -> _Futures:
    """Play the future of customers who are alive, on a grid, each draw with parameters of its own.

    A draw has its own parameters (uncertainty of the fit), rates (of the customer) and chance. What has left brings nothing, and what is
    alive does not depend on recency, so that the grid has two dimensions only. A customer's mean
    spend only stretches the result, nearly: the uncertainty of v is taken at the mean spend of all.
    """
    rng = np.random.default_rng(SEED)
    counts = _count_grid(float(cells.counts[-1]))
    ages = np.linspace(0, 1, 10) ** 1.5 * max(float(cells.times[-1]), 1.0)
    thetas, phis = fit.draws(draws, rng), spend.draws(draws, rng)
    repeat = customers.frequency > 0
    mean = float(np.maximum(customers.monetary[repeat], 0).mean()) if repeat.any() else 0.0
    shape = (len(ends), len(counts), len(ages))
    quantiles, nothing = np.empty((*shape, len(_LEVELS))), np.empty(shape)
    ranks = np.rint(_LEVELS * (draws - 1)).astype(np.int64)
    for c, count in enumerate(counts):
        lives = model.draw_lives(thetas, count, ages[:, None], rng)
        spent = (phis[:, 2] + count * mean) / rng.standard_gamma(phis[:, 1] + phis[:, 0] * count)
        spent /= GAMMA_GAMMA.order_value(spend.theta, np.array([count]), np.array([mean]))[0]
        left = rng.exponential(size=lives.hazard.shape) / np.maximum(lives.hazard, 1e-300)
        total = np.zeros(left.shape)
        start = 0.0
        for h, end in enumerate(ends):
            stay = np.clip(left, start, end) - start
            orders = rng.poisson(lives.rate * stay) + (lives.leaves_ordering & (left > start) & (left <= end))
            worth = rng.standard_gamma(phis[:, 0] * orders) * spent
            total += worth * np.exp(-rate * start) * _mean_discount(rate * stay)
            ordered = np.sort(total, axis=1)
            quantiles[h, c] = ordered[:, ranks]
            nothing[h, c] = (ordered == 0).mean(axis=1)
            start = end
    return _Futures(counts, ages, quantiles, nothing)


def _mean_discount(exposure: Floats) -> Floats:
    """Mean of e^-u over [0, exposure]."""
    return np.where(exposure > 1e-9, -np.expm1(-exposure) / np.where(exposure > 0, exposure, 1), 1.0)


def _count_grid(largest: float) -> Floats:
    """Frequencies 0 to 12, then in steps of a fifth, beyond the largest."""
    grid = [float(v) for v in range(13)]
    while grid[-1] < largest:
        grid.append(np.ceil(grid[-1] * 1.2))
    return np.array(grid)
