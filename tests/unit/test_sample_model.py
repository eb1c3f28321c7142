"""The sample behaves as its known model says."""

import math
from datetime import date

import numpy as np
import pytest

from orchestration.sample.clock import Clock
from orchestration.sample.draws import Draws, divide_rounded, exact_exp, exact_log
from orchestration.sample.orders import MODEL, UPLIFT
from orchestration.sample.purchases import Model, draw_baskets, draw_latent, draw_purchases
from orchestration.sample.truth import kept_orders
from orchestration.sample.web import count_sessions
from orchestration.sample.world import World, make_world

START, END = date(2023, 1, 1), date(2024, 12, 31)
PERSONS = 3000


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(PERSONS, START, END, 5)


def test_logarithm_and_exponential_are_those_of_the_library() -> None:
    x = np.asarray([1e-300, 1e-9, 0.3, 0.5, 0.70710678, 1.0, 1.5, 2.0, 10.0, 1e9, 1e300])
    assert exact_log(x) == pytest.approx([math.log(v) for v in x], rel=5e-16, abs=1e-16)
    y = np.asarray([-600.0, -20.5, -1.0, 0.0, 1e-9, 0.34657, 1.0, 30.25, 600.0])
    assert exact_exp(y) == pytest.approx([math.exp(v) for v in y], rel=1e-15)


@pytest.mark.parametrize("shape", [0.5, 0.85, 4.2])
def test_gamma_has_its_mean_and_variance(shape: float) -> None:
    drawn = Draws(1, "test").gamma(shape, 200_000)
    assert drawn.mean() == pytest.approx(shape, rel=0.02)
    assert drawn.var() == pytest.approx(shape, rel=0.04)


def test_halves_round_away_from_zero() -> None:
    assert divide_rounded(np.asarray([4, 5, 14, 15, 25]), 10).tolist() == [0, 1, 1, 2, 3]


def test_people_without_a_repeat_purchase_are_as_many_as_the_model_expects() -> None:
    # nobody leaves before the first repeat purchase: P(none within T) = (alpha / (alpha + T)) ** r
    clock, model, draws = Clock(START, END), Model(), Draws(2, "test")
    latent = draw_latent(draws, model, 60_000)
    purchases = draw_purchases(draws, model, latent, clock)
    person, first = np.unique(purchases.person, return_index=True)
    counts = np.bincount(purchases.person)[person]
    left = clock.season[-1] - clock.season[purchases.day[first]] - 0.5
    expected = ((model.alpha / (model.alpha + left)) ** model.r).mean()
    assert (counts == 1).mean() == pytest.approx(expected, abs=0.006)


def test_baskets_have_the_mean_of_the_model() -> None:
    draws, model = Draws(3, "test"), Model()
    nu = draws.gamma(model.q, 300_000) / model.v
    assert draw_baskets(draws, model, nu).mean() / 100 == pytest.approx(model.p * model.v / (model.q - 1), rel=0.02)


def test_every_purchase_of_the_model_and_of_a_campaign_is_kept(world: World) -> None:
    of_model = np.isin(world.orders.kind, (MODEL, UPLIFT))
    kept = kept_orders(world)
    assert kept[of_model].all()
    assert 0.9 < of_model.mean() < 0.97
    assert not kept[~of_model].all()


def test_lines_add_up_to_the_baskets_on_average(world: World) -> None:
    euros = world.orders.currency[world.lines.order] == 0
    net = (world.amounts.gross - world.amounts.discount)[euros].sum()
    baskets = world.orders.basket[world.orders.currency == 0].sum()
    assert net / baskets == pytest.approx(1.0, abs=0.02)


def test_messages_cause_as_many_orders_as_their_effect_says(world: World) -> None:
    messages, plan = world.messages, world.plan
    # the last weeks are cut off by the end of the range
    open_to_effect = ~messages.control & ((messages.order < 0) | messages.caused)
    open_to_effect &= plan.begin[messages.campaign] < world.clock.days - 10
    expected = plan.effect[messages.campaign[open_to_effect]].sum() / 10_000
    caused = messages.caused[open_to_effect].sum()
    assert caused == pytest.approx(expected, abs=4 * math.sqrt(expected))
    assert not messages.caused[messages.control].any()


def test_the_size_is_what_the_default_sample_promises(world: World) -> None:
    share = PERSONS / 2000
    assert 12_000 < len(world.orders) / share < 15_000
    assert 26_000 < len(world.lines) / share < 34_000
    assert 50_000 < len(world.events.at) / share < 80_000
    assert 15_000 < len(world.messages) / share < 25_000


def test_thirty_minutes_do_not_end_a_session_and_a_millisecond_more_does() -> None:
    half_hour = 30 * 60 * 1000
    visitor = np.asarray([1, 1, 1, 2])
    assert count_sessions(visitor, np.asarray([0, half_hour, 2 * half_hour, 5])) == 2
    assert count_sessions(visitor, np.asarray([0, half_hour + 1, 2 * half_hour + 1, 5])) == 3


def test_a_business_day_is_cut_at_local_midnight() -> None:
    clock = Clock(date(2023, 3, 25), date(2023, 3, 28))
    # midnight in Paris is 23:00 UTC the day before in winter and 22:00 in summer; the 26th has 23 hours
    assert np.diff(clock.midnights).tolist() == [86_400, 82_800, 86_400, 86_400]
    assert int(clock.midnights[0]) == 1_679_698_800
    last = np.asarray([1_679_698_799, 1_679_698_800, int(clock.midnights[2]) - 1])
    assert clock.day_of(last).tolist() == [-1, 0, 1]
