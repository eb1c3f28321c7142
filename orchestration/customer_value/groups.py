"""Customers of one market and channel of acquisition are fitted apart, where they are enough to say something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestration.customer_value.cells import Bools, Cells, Floats, Ints, counted
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
    def of(cls, cuts: Sequence[Any], repeated: Bools) -> "Groups":
        """``cuts`` (texts, or Arrow arrays of them) give each customer a label, finest cut first.

        Who is in no large enough group of any is in "all".
        """
        import pyarrow as pa

        group = np.zeros(len(repeated), np.int64)
        names = [ALL]
        free = np.ones(len(repeated), bool)
        for cut in cuts:
            coded = pa.array(cut, pa.string()).dictionary_encode()
            labels, found = np.unique(coded.dictionary.to_numpy(zero_copy_only=False), return_inverse=True)
            place = found[coded.indices.to_numpy()]
            size = np.bincount(place[free], minlength=len(labels))
            repeaters = np.bincount(place[free & repeated], minlength=len(labels))
            for label in np.flatnonzero((size >= MIN_CUSTOMERS) & (repeaters >= MIN_REPEATERS)):
                members = free & (place == label)
                group[members] = len(names)
                names.append(str(labels[label]))
                free &= ~members
        return cls(tuple(names), group)


@dataclass(frozen=True)
class Part:
    """The customers to fit together, and all that does not depend on the model of orders; ``reason``: why they cannot be predicted."""

    name: str
    members: Bools
    cells: Cells
    spend: Fit
    value_per_net: float
    reason: str


@dataclass(frozen=True)
class GroupFit:
    """What one group is predicted with: of ``part``, the ``members``, whose cells are ``cells`` where they are all of it."""

    part: Part
    orders: Fit
    members: Bools
    cells: Cells | None

    @property
    def name(self) -> str:
        """Of the group."""
        return self.part.name


@dataclass(frozen=True)
class Fits:
    """The fits of all groups, each customer in exactly one; or why there are none. ``refused`` says what groups joined "all"."""

    model: PurchaseModel
    groups: tuple[GroupFit, ...]
    reason: str = ""
    refused: tuple[str, ...] = ()


def parts(seen: OrderDays, customers: Summary, groups: Groups, worth: Floats, near: Fit | None = None) -> list[Part]:
    """All customers, then each group; the same for every model of orders.

    ``worth`` is the value of each row of ``seen`` in the unit to be predicted, nan where unknown. ``near``, the spend of much the same
    customers, is where the search begins.
    """
    known = np.isfinite(worth)
    totals = tuple(
        counted(seen.customer, np.where(known, v, 0), seen.size)[customers.customer] for v in (worth, seen.net)
    )
    whole = _part(customers, np.ones(len(customers), bool), totals, ALL, near)
    if whole.reason:
        return [whole]
    group = groups.group[customers.customer]
    named = enumerate(groups.names[1:], start=1)
    return [whole, *(_part(customers, group == place, totals, name, whole.spend) for place, name in named)]


def _part(customers: Summary, members: Bools, totals: tuple[Floats, ...], name: str, near: Fit | None) -> Part:
    """``totals``: by customer, what the orders of known worth are worth, and their net value."""
    chosen = customers.where(members)
    cells = Cells.of(chosen.frequency, chosen.recency, chosen.age)
    spend = GAMMA_GAMMA.fit(chosen.frequency, chosen.monetary, near)
    value, net = (float(total[members].sum()) for total in totals)
    rate = value / net if net > 0 else np.nan
    reason = ""
    if not spend.verdict.usable:
        reason = f"{spend.model}: {spend.verdict.reason}"
    elif not np.isfinite(rate):
        reason = "no order has a known cost: its margin is unknown"
    return Part(name, members, cells, spend, rate, reason)


def fit_groups(model: PurchaseModel, whole: Part, *groups: Part, near: Fit | None = None) -> Fits:
    """Fit all customers, then each group by itself; a group whose own fit is not identified is predicted with all's.

    ``near`` is a fit to much the same customers, where the search begins.
    """
    everybody = model.fit(whole.cells, near)
    if why := _unusable(everybody, whole):
        return Fits(model, (), why)
    fits, refused = [], []
    rest = np.ones(len(whole.members), bool)
    for part in groups:
        own = model.fit(part.cells, everybody)
        if why := _unusable(own, part):
            refused.append(f"{part.name}: {why}")
        else:
            fits.append(GroupFit(part, own, part.members, part.cells))
            rest &= ~part.members
    first = GroupFit(whole, everybody, rest, None if fits else whole.cells)
    return Fits(model, (first, *fits), refused=tuple(refused))


def _unusable(orders: Fit, part: Part) -> str:
    return part.reason if orders.verdict.usable else f"{orders.model}: {orders.verdict.reason}"


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
            group.part.spend,
            customers.where(group.members),
            months,
            annual_rate,
            group.part.value_per_net,
            group.cells,
            draws=draws,
        )
        for name in Prediction.__dataclass_fields__:
            values = getattr(part, name)
            whole = arrays.setdefault(name, np.full((*values.shape[:-1], len(customers)), np.nan))
            whole[..., group.members] = values
    return Prediction(**arrays)
