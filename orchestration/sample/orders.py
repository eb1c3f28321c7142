"""Orders: the model's purchases, and what surrounds them in a real shop.

The purchases of the model (and those that a campaign caused) are all kept. Cancelled orders, wholly returned
ones, tests and anonymous receipts come on top of them, so that the kept orders of a person follow the
model exactly.
"""

from dataclasses import dataclass, fields

import numpy as np

from orchestration.sample import names
from orchestration.sample.catalogue import APP, CALL, DISTRIBUTOR, MARKETPLACE, STORES, WEB
from orchestration.sample.clock import DAY, HOUR, SHOP_HOURS, WEB_HOURS, Clock, second_of_day
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.people import Accounts, Persons, choose_account, choose_channel
from orchestration.sample.purchases import Model, Purchases, draw_baskets

MODEL, UPLIFT, CANCELLED, SENT_BACK, TEST, ANONYMOUS = range(6)
PLACED, SHIPPED, COMPLETED, CANCELLED_STATUS = range(4)
STATUSES = ("placed", "shipped", "completed", "cancelled")
NONE = -1


@dataclass(frozen=True)
class Orders:
    """One row per order; instants in UTC seconds, `basket` in cents of EUR."""

    kind: Ints
    person: Ints  # -1 unknown
    account: Ints  # -1 guest or anonymous
    channel: Ints
    currency: Ints
    at: Ints
    basket: Ints
    campaign: Ints  # campaign the shop credits, -1 for none
    cancelled_at: Ints  # -1 for never

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: Ints) -> "Orders":
        """The given rows, in their order."""
        return Orders(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @staticmethod
    def concatenate(parts: list["Orders"]) -> "Orders":
        """All rows of several parts."""
        return Orders(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Orders)})


@dataclass(frozen=True)
class OrderFeed:
    """What is delivered of the orders: first delivery day of each, and one row per delivery."""

    delivered: Ints  # (orders)
    day: Ints  # (deliveries), not decreasing
    order: Ints  # (deliveries)
    status: Ints  # (deliveries)
    final_status: Ints  # (orders), as of the end


def order_instant(draws: Draws, clock: Clock, day: Ints, channel: Ints) -> Ints:
    """An instant of the day, in opening hours for stores and the call centre."""
    n = len(day)
    counter = (channel < STORES) | (channel == CALL)
    second = np.where(counter, second_of_day(draws, SHOP_HOURS, n), second_of_day(draws, WEB_HOURS, n))
    return clock.at(day, second)


def currency_of(persons: Persons, person: Ints, channel: Ints) -> Ints:
    """Currency of a purchase: that of the person's country, EUR at the counter."""
    by_country = np.asarray(names.COUNTRY_CURRENCY, dtype=np.int64)[persons.country[np.maximum(person, 0)]]
    result: Ints = np.where((person < 0) | (channel < STORES), 0, by_country)
    return result


def model_orders(draws: Draws, purchases: Purchases, persons: Persons, accounts: Accounts, clock: Clock) -> Orders:
    """The purchases of the model as orders; a few account holders order as guests."""
    person, day = purchases.person, purchases.day
    n = len(person)
    channel = choose_channel(draws, persons, person)
    account = choose_account(accounts, person, channel, day)
    guest = draws.chance(0.04, n) & np.isin(channel, (WEB, MARKETPLACE))
    return Orders(
        kind=np.full(n, MODEL, dtype=np.int64),
        person=person,
        account=np.where(guest, NONE, account),
        channel=np.where((account == NONE) & (channel == APP), WEB, channel),
        currency=currency_of(persons, person, channel),
        at=order_instant(draws, clock, day, channel),
        basket=purchases.basket,
        campaign=np.full(n, NONE, dtype=np.int64),
        cancelled_at=np.full(n, NONE, dtype=np.int64),
    )


def surrounding_orders(draws: Draws, base: Orders, nu_mean: float, model: Model, clock: Clock) -> Orders:
    """Cancelled, wholly returned, test and anonymous orders on top of the kept ones."""
    n = len(base)
    online = np.flatnonzero(base.channel >= STORES)
    cancelled = base.take(online[draws.chance(0.05, len(online))])
    at = np.minimum(cancelled.at + draws.integers(1, 2 * DAY, len(cancelled)), clock.last_instant())
    cancelled_at = at + draws.integers(600, 3 * DAY, len(cancelled))
    cancelled = _copy(cancelled, kind=CANCELLED, at=at, cancelled_at=cancelled_at)

    back = base.take(np.flatnonzero(draws.chance(0.012, n)))
    at = np.minimum(back.at + draws.integers(DAY, 20 * DAY, len(back)), clock.last_instant())
    back = _copy(back, kind=SENT_BACK, at=at, cancelled_at=np.full(len(at), NONE, dtype=np.int64))

    tests = base.take(np.flatnonzero(draws.chance(0.004, n)))
    anonymous_account = draws.chance(0.5, len(tests))
    tests = _copy(
        tests,
        kind=TEST,
        at=np.minimum(tests.at + draws.integers(HOUR, 3 * DAY, len(tests)), clock.last_instant()),
        cancelled_at=tests.cancelled_at,
        channel=np.full(len(tests), WEB, dtype=np.int64),
        person=np.full(len(tests), NONE, dtype=np.int64),
        account=np.where(anonymous_account, NONE, tests.account),
    )

    counter = np.flatnonzero(base.channel < STORES)
    till = base.take(counter[draws.chance(0.12, len(counter))])
    day = clock.day_of(till.at)
    till = _copy(
        till,
        kind=ANONYMOUS,
        at=order_instant(draws, clock, day, till.channel),
        cancelled_at=till.cancelled_at,
        basket=draw_baskets(draws, model, np.full(len(till), nu_mean)),
        person=np.full(len(till), NONE, dtype=np.int64),
        account=np.full(len(till), NONE, dtype=np.int64),
    )
    return Orders.concatenate([cancelled, back, tests, till])


def _copy(orders: Orders, *, kind: int, at: Ints, cancelled_at: Ints, **changes: Ints) -> Orders:
    values: dict[str, Ints] = {f.name: getattr(orders, f.name) for f in fields(Orders)}
    values |= {"kind": np.full(len(orders), kind, dtype=np.int64), "at": at, "cancelled_at": cancelled_at}
    values |= {"campaign": np.full(len(orders), NONE, dtype=np.int64)}
    return Orders(**(values | changes))


def sort_orders(orders: Orders, clock: Clock) -> tuple[Orders, Ints]:
    """Orders by instant, and where each former row is now; cancellations after the range are undone."""
    sequence = np.lexsort((orders.channel, orders.person, orders.kind, orders.at))
    place = np.empty(len(sequence), dtype=np.int64)
    place[sequence] = np.arange(len(sequence))
    ordered = orders.take(sequence)
    unseen = clock.day_of(ordered.cancelled_at) >= clock.days
    values = {f.name: getattr(ordered, f.name) for f in fields(Orders)}
    values["cancelled_at"] = np.where(unseen, NONE, ordered.cancelled_at)
    return Orders(**values), place


def late_days(draws: Draws, share: float, day: Ints, clock: Clock) -> Ints:
    """Delivery days: the day itself, for a small share one to three days later, never after the range."""
    late = np.where(draws.chance(share, len(day)), draws.integers(1, 4, len(day)), 0)
    result: Ints = np.clip(day + late, 0, clock.days - 1)
    return result


def deliver_orders(draws: Draws, orders: Orders, clock: Clock) -> OrderFeed:
    """First delivery of each order and the later ones that its changes of status bring."""
    n = len(orders)
    delivered = late_days(draws, 0.015, clock.day_of(orders.at), clock)
    slow = (orders.channel >= STORES) & (orders.channel != DISTRIBUTOR)
    done_day = delivered + draws.integers(2, 7, n)
    ship_day = delivered + 1
    cancelled = orders.cancelled_at >= 0
    cancel_day = clock.day_of(orders.cancelled_at)
    done = slow & ~cancelled & (done_day < clock.days)
    shipped = slow & ~cancelled & draws.chance(0.15, n) & (ship_day < clock.days)
    later_cancel = cancelled & (cancel_day > delivered)

    first_status = np.where(slow | cancelled, PLACED, COMPLETED)
    first_status = np.where(cancelled & ~later_cancel, CANCELLED_STATUS, first_status)
    rows = np.arange(n)
    parts: list[tuple[Bools, Ints, Ints]] = [
        (np.ones(n, bool), delivered, first_status),
        (shipped, ship_day, np.full(n, SHIPPED, dtype=np.int64)),
        (done, done_day, np.full(n, COMPLETED, dtype=np.int64)),
        (later_cancel, cancel_day, np.full(n, CANCELLED_STATUS, dtype=np.int64)),
    ]
    day = np.concatenate([d[keep] for keep, d, _ in parts])
    order = np.concatenate([rows[keep] for keep, _, _ in parts])
    status = np.concatenate([s[keep] for keep, _, s in parts])
    sequence = np.lexsort((order, day))
    final = np.where(shipped, SHIPPED, first_status)
    final = np.where(done, COMPLETED, final)
    final = np.where(cancelled, CANCELLED_STATUS, final)
    return OrderFeed(
        delivered=delivered,
        day=day[sequence],
        order=order[sequence],
        status=status[sequence],
        final_status=final,
    )
