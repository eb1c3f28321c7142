"""A hundred controlled campaigns of samples whose truth is known: intervals hold it, and where there is none, none is found."""

from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from orchestration.incrementality import Arm, Effect, difference_of_rates
from orchestration.sample import campaigns as sample_campaigns
from orchestration.sample.campaigns import WINDOW, next_order, order_key
from orchestration.sample.truth import kept_orders
from orchestration.sample.world import World, make_world

CAMPAIGNS = 100


def compared(world: World) -> list[tuple[float, Effect]]:
    """True uplift, as truth/campaigns.csv has it, and estimated effect on conversion of each controlled campaign.

    A conversion is a kept order of the account within seven days, for both groups, whatever caused it.
    """
    kept = np.flatnonzero(kept_orders(world) & (world.orders.account >= 0))
    origin = int(world.clock.midnights[0])
    key = order_key(world.orders.account[kept], world.orders.at[kept], origin)
    by_key = np.argsort(key, kind="stable")
    sequence, key = kept[by_key], key[by_key]
    found = []
    for k in range(len(world.plan)):
        rows = np.flatnonzero(world.messages.campaign == k)
        control = world.messages.control[rows]
        # a campaign at the end of the range has no seven days to be measured in
        if not control.any() or world.messages.at[rows].max() + WINDOW > world.clock.last_instant():
            continue
        account, at = world.messages.account[rows].astype(np.int64), world.messages.at[rows]
        converted = next_order(world.orders, sequence, key, account, at, origin) >= 0
        audience, anyway = int(world.effect.audience[k]), int(world.effect.ordering_anyway[k])
        truth = int(world.plan.effect[k]) / 10_000 * (audience - anyway) / audience
        found.append((truth, difference_of_rates(_arm(converted[~control]), _arm(converted[control]))))
    return found


def _arm(converted: np.ndarray) -> Arm:
    successes = Fraction(int(converted.sum()))
    return Arm(len(converted), successes, successes)


def hundred() -> list[tuple[float, Effect]]:
    found: list[tuple[float, Effect]] = []
    for seed in range(1, 20):
        found += compared(make_world(3000, date(2022, 1, 1), date(2023, 12, 31), seed))
        if len(found) >= CAMPAIGNS:
            break
    return found[:CAMPAIGNS]


def test_the_true_uplift_is_in_at_least_ninety_of_a_hundred_intervals() -> None:
    found = hundred()
    assert len(found) == CAMPAIGNS
    assert sum(truth > 0 for truth, _ in found) > 60
    inside = sum(effect.low <= truth <= effect.high for truth, effect in found)
    assert inside >= 90


def test_without_an_effect_at_most_eight_of_a_hundred_are_called_significant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_campaigns, "_EFFECT", (0, 0, 0, 0, 0))
    found = hundred()
    assert all(truth == 0 for truth, _ in found)
    assert sum(effect.p_value < 0.05 for _, effect in found) <= 8
    assert sum(not effect.low <= 0 <= effect.high for _, effect in found) <= 8
