"""When people buy and how much they spend: BG/NBD and Gamma-Gamma.

Fader, Hardie and Lee (2005), "Counting your customers the easy way": while alive a person buys as a
Poisson process with rate lambda ~ Gamma(r, alpha) per day; after each repeat purchase the person leaves
for good with probability p ~ Beta(a, b). Fader and Hardie (2013), "The Gamma-Gamma model of monetary
value": the baskets of a person are Gamma(p, nu) with nu ~ Gamma(q, v), so their mean is p / nu.
Seasons enter as a change of time, one unit of operational time a day on average, which leaves the law of the
counts as it is.
"""

from dataclasses import dataclass

import numpy as np

from orchestration.sample.clock import Clock
from orchestration.sample.draws import Bools, Draws, Floats, Ints


@dataclass(frozen=True)
class Model:
    """True parameters: r, alpha (days), a, b of BG/NBD; p, q, v (EUR) of Gamma-Gamma."""

    r: float = 0.85
    alpha: float = 34.0
    a: float = 0.9
    b: float = 5.5
    p: float = 5.0
    q: float = 4.2
    v: float = 42.0


@dataclass(frozen=True)
class Latent:
    """Of each person: purchases per day, probability of leaving, scale of the spend (1 / EUR)."""

    rate: Floats
    leaving: Floats
    nu: Floats
    buys: Bools


@dataclass(frozen=True)
class Purchases:
    """One row per purchase, ordered by person and time: person, business day, basket in cents of EUR."""

    person: Ints
    day: Ints
    basket: Ints


def draw_latent(draws: Draws, model: Model, persons: int) -> Latent:
    """What nobody can observe: the parameters of each person."""
    return Latent(
        rate=draws.gamma(model.r, persons) / model.alpha,
        leaving=draws.beta(model.a, model.b, persons),
        nu=draws.gamma(model.q, persons) / model.v,
        buys=draws.chance(0.93, persons),
    )


def draw_baskets(draws: Draws, model: Model, nu: Floats) -> Ints:
    """A basket for each purchase, in cents, between 1 EUR and 20,000 EUR."""
    euros = draws.gamma(model.p, len(nu)) / nu
    return np.clip(np.rint(euros * 100.0), 100, 2_000_000).astype(np.int64)


def draw_purchases(draws: Draws, model: Model, latent: Latent, clock: Clock) -> Purchases:
    """All purchases of the range, the first of each person dense at the beginning of it."""
    horizon = float(clock.season[-1])
    person = np.flatnonzero(latent.buys)
    u = draws.uniform(len(person))
    time = u * u * horizon
    persons, times = [person], [time]
    while len(person):
        time = time + draws.exponential(len(person)) / np.maximum(latent.rate[person], 1e-12)
        seen = time < horizon
        person, time = person[seen], time[seen]
        persons.append(person)
        times.append(time)
        stays = ~draws.chance(latent.leaving[person], len(person))
        person, time = person[stays], time[stays]
    everyone, moments = np.concatenate(persons).astype(np.int64), np.concatenate(times)
    sequence = np.lexsort((moments, everyone))
    everyone, moments = everyone[sequence], moments[sequence]
    return Purchases(
        person=everyone,
        day=clock.season_day(moments),
        basket=draw_baskets(draws, model, latent.nu[everyone]),
    )
