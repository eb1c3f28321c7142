"""Customers drawn from a model whose parameters are known, each process written out order by order."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from orchestration.customer_value import OrderDays
from orchestration.sample.clock import Clock
from orchestration.sample.draws import Draws
from orchestration.sample.purchases import Model, draw_latent, draw_purchases

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What was seen of each customer up to now, and the repeat orders that came in ``horizon`` after it."""

    frequency: Floats
    recency: Floats
    age: Floats
    future: Floats


def live(
    model: str, theta: tuple[float, ...], age: Floats, horizon: float, rng: np.random.Generator, *, daily: bool = False
) -> World:
    """Customers of ``model`` from their first order to ``age`` and ``horizon`` beyond.

    ``daily``: moments are cut to whole days and orders of one day count once, as in the mart.
    """
    n = len(age)
    rate = rng.gamma(theta[0], 1 / theta[1], n)
    end = age + horizon
    if model == "pareto_nbd":
        end = np.minimum(end, rng.exponential(1 / rng.gamma(theta[2], 1 / theta[3], n)))
        leaving = np.zeros(n)
    else:
        leaving = rng.beta(theta[2], theta[3], n)
    alive = np.arange(n)
    if model == "mbg_nbd":
        alive = alive[rng.random(n) >= leaving]
    clock, last_day = np.zeros(n), np.zeros(n)
    frequency, recency, future = np.zeros(n), np.zeros(n), np.zeros(n)
    while len(alive):
        clock[alive] += rng.exponential(1 / np.maximum(rate[alive], 1e-300))
        alive = alive[clock[alive] <= end[alive]]
        moment = np.floor(clock[alive]) if daily else clock[alive]
        new = moment > last_day[alive]
        who, moment = alive[new], moment[new]
        last_day[who] = moment
        seen = moment <= age[who]
        frequency[who[seen]] += 1
        recency[who[seen]] = moment[seen]
        future[who[~seen]] += 1
        alive = alive[rng.random(len(alive)) >= leaving[alive]]
    return World(frequency, recency, age, future)


def spend(frequency: Floats, theta: tuple[float, float, float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mean value of the repeat orders (0 without any) by Gamma-Gamma, and each customer's scale nu."""
    p, q, v = theta
    nu = rng.gamma(q, 1 / v, len(frequency))
    total = rng.gamma(np.maximum(p * frequency, 1e-9)) / nu
    return np.where(frequency > 0, total / np.maximum(frequency, 1), 0.0), nu


def sample_purchases() -> OrderDays:
    """Three years of the sample retailer's purchases, whose truth is BG/NBD and Gamma-Gamma."""
    latent = draw_latent(Draws(7, "latent"), Model(), 3000)
    bought = draw_purchases(Draws(7, "purchases"), Model(), latent, Clock(date(2022, 1, 1), date(2024, 12, 31)))
    days = np.unique(bought.person * 10_000 + bought.day, return_inverse=True)
    net = np.bincount(days[1], bought.basket / 100)
    _, customer = np.unique(days[0] // 10_000, return_inverse=True)
    return OrderDays.of(customer, days[0] % 10_000, net, 0.4 * net)
