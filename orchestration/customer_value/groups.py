"""Customers of one market and channel of acquisition are fitted apart, where they are enough to say something."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestration.customer_value.cells import Bools, Cells, Floats, Ints
from orchestration.customer_value.estimation import Fit
from orchestration.customer_value.gamma_gamma import GAMMA_GAMMA
from orchestration.customer_value.history import OrderDays, Summary
from orchestration.customer_value.purchases import PurchaseModel
from orchestration.customer_value.scoring import DRAWS, Prediction, predict

#: Of a group that is fitted apart: below, its own parameters are less sure than those of all are wrong.
MIN_CUSTOMERS = 5_000
MIN_REPEATERS = 1_000

ALL = "all"


@dataclass(frozen=True)
class Groups:
    """The group of each customer number, as a place in ``names``, from the finest cut that is large enough."""

    names: tuple[str, ...]
    group: Ints

    @classmethod
    def of(cls, cuts: Sequence[Sequence[str]], repeated: Bools) -> "Groups":
        """``cuts`` give each customer a label, finest cut first; who is in no large enough group of any is in "all"."""
        group = np.zeros(len(repeated), np.int64)
        names = [ALL]
        free = np.ones(len(repeated), bool)
        for cut in cuts:
            labels, place = np.unique(np.asarray(cut, dtype=str), return_inverse=True)
            size = np.bincount(place[free], minlength=len(labels))
            repeaters = np.bincount(place[free & repeated], minlength=len(labels))
            for label in np.flatnonzero((size >= MIN_CUSTOMERS) & (repeaters >= MIN_REPEATERS)):
                members = free & (place == label)
                group[members] = len(names)
                names.append(str(labels[label]))
                free &= ~members
        return cls(tuple(names), group)


@dataclass(frozen=True)
class GroupFit:
    """What one group is predicted with."""

    name: str
    orders: Fit
    spend: Fit
    value_per_net: float
    members: Bools
    cells: Cells | None


@dataclass(frozen=True)
class Fits:
    """The fits of all groups, each customer in exactly one; or why there are none. ``refused`` says what groups joined "all"."""

    model: PurchaseModel
    groups: tuple[GroupFit, ...]
    reason: str = ""
    refused: tuple[str, ...] = ()


def fit_groups(model: PurchaseModel, seen: OrderDays, customers: Summary, groups: Groups, worth: Floats) -> Fits:
    """Fit all customers, then each group by itself; a group whose own fit is not identified is predicted with all's.

    ``worth`` is the value of each row of ``seen`` in the unit to be predicted, nan where unknown.
    """
    whole, reason = _fit(model, seen, customers, np.ones(len(customers), bool), worth, ALL)
    if whole is None:
        return Fits(model, (), reason)
    group = groups.group[customers.customer]
    fits, refused = [], []
    rest = np.ones(len(customers), bool)
    for place, name in enumerate(groups.names[1:], start=1):
        members = group == place
        own, why = _fit(model, seen, customers, members, worth, name)
        if own is None:
            refused.append(f"{name}: {why}")
        else:
            fits.append(own)
            rest &= ~members
    if fits:
        whole = replace(whole, members=rest, cells=None)
    return Fits(model, (whole, *fits), refused=tuple(refused))


def _fit(
    model: PurchaseModel, seen: OrderDays, customers: Summary, members: Bools, worth: Floats, name: str
) -> tuple[GroupFit | None, str]:
    chosen = customers.where(members)
    cells = Cells.of(chosen.frequency, chosen.recency, chosen.age)
    orders = model.fit(cells)
    spend = GAMMA_GAMMA.fit(chosen.frequency, chosen.monetary)
    for fit in (orders, spend):
        if not fit.verdict.usable:
            return None, f"{fit.model}: {fit.verdict.reason}"
    numbers = np.zeros(seen.size, bool)
    numbers[chosen.customer] = True
    rate = _worth_per_net(seen, worth, numbers)
    if not np.isfinite(rate):
        return None, "no order has a known cost: its margin is unknown"
    return GroupFit(name, orders, spend, rate, members, cells), ""


def _worth_per_net(seen: OrderDays, worth: Floats, numbers: Bools) -> float:
    known = np.isfinite(worth) & numbers[seen.customer]
    net = float(seen.net[known].sum())
    return float(worth[known].sum()) / net if net > 0 else np.nan


def predict_groups(
    fits: Fits, customers: Summary, months: tuple[int, ...], annual_rate: float, draws: int = DRAWS
) -> Prediction:
    """Score each customer with the fit of the own group."""
    arrays: dict[str, Floats] = {}
    for group in fits.groups:
        if not group.members.any():
            continue
        part = predict(
            fits.model,
            group.orders,
            group.spend,
            customers.where(group.members),
            months,
            annual_rate,
            group.value_per_net,
            group.cells,
            draws=draws,
        )
        for name in Prediction.__dataclass_fields__:
            values = getattr(part, name)
            whole = arrays.setdefault(name, np.full((*values.shape[:-1], len(customers)), np.nan))
            whole[..., group.members] = values
    return Prediction(**arrays)
