"""Visits of the web shop: those that end in an order, those that follow a click, and browsing.

Inside a visit events are at most 30 minutes apart, a few exactly 30. Two visits of one visitor may run into
each other by chance; the true number of sessions is therefore counted on the events.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from orchestration.sample.campaigns import Campaigns, Messages
from orchestration.sample.catalogue import APP, PRODUCTS, WEB
from orchestration.sample.clock import HOUR, WEB_HOURS, Clock, second_of_day
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.lines import Lines
from orchestration.sample.orders import NONE, TEST, Orders, late_days
from orchestration.sample.people import DEVICES_PER_PERSON, Accounts, Persons
from orchestration.sample.reactions import CLICKED, Reactions, click_media

PAGE_VIEW, PRODUCT_VIEW, ADD_TO_CART, CHECKOUT, PURCHASE = range(5)
EVENT_TYPES = ("page_view", "product_view", "add_to_cart", "checkout", "purchase")
DEVICES = ("desktop", "mobile", "tablet")
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64) FidelisBrowser/12",
    "Mozilla/5.0 (Phone; Mobile) FidelisBrowser/12",
    "Mozilla/5.0 (Tablet) FidelisBrowser/12",
)
# referrer, utm source, utm medium of a visit; the last is a click on a campaign's message
ORIGINS: tuple[tuple[str | None, str | None, str | None], ...] = (
    (None, None, None),
    ("search.example.com", None, None),
    ("search.example.com", "search", "cpc"),
    ("social.example.net", "social", "paid_social"),
    ("blog.example.org", None, None),
    (None, "fidelis", "campaign"),
)
CAMPAIGN_ORIGIN = 5
_ORIGIN_WEIGHTS = (42, 26, 15, 9, 8)
SESSION_GAP = 30 * 60
_SIGNED_IN_ONCE = 0.97
# visits worked on at once
BLOCK = 200_000


@dataclass(frozen=True)
class Visits:
    """One row per visit; `at` is its first event, or its last where it ends in an order."""

    visitor: Ints
    at: Ints
    events: Ints
    account: Ints  # signed in, -1 for none
    order: Ints  # -1 for none
    origin: Ints
    campaign: Ints  # -1 for none

    @staticmethod
    def concatenate(parts: list["Visits"]) -> "Visits":
        """All rows of several parts."""
        return Visits(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Visits)})


@dataclass(frozen=True)
class Events:
    """One row per event, by delivery day, instant, visitor; `visit` points into `visits`."""

    day: Ints
    visit: Ints
    at: Ints  # milliseconds
    kind: Ints
    product: Ints  # -1 for none
    signed_in: Bools
    number: Ints  # place by time, the event's identifier
    visits: Visits
    visitors: int
    sessions: int


def make_events(
    draws: Draws,
    orders: Orders,
    lines: Lines,
    plan: Campaigns,
    messages: Messages,
    reactions: Reactions,
    persons: Persons,
    accounts: Accounts,
    clock: Clock,
) -> Events:
    """All events of the range with their delivery day."""
    visits = Visits.concatenate(
        [
            _order_visits(draws, orders, persons),
            _click_visits(draws, plan, messages, reactions, persons, accounts),
            _browsing(draws, orders, persons, accounts, clock),
        ]
    )
    devices = DEVICES_PER_PERSON * len(persons.country)
    visits = _sign_in_once(draws, visits, accounts, devices, clock)
    first_line = np.searchsorted(lines.order, np.arange(len(orders)))
    bought = lines.product[first_line] if len(lines) else first_line
    # in blocks, because the work on an event takes ten times the memory of its result
    blocks = [
        _events_of(draws, visits, np.arange(lo, min(lo + BLOCK, len(visits.at))), bought, clock)
        for lo in range(0, max(len(visits.at), 1), BLOCK)
    ]
    day, visit, at, kind, product, signed_in = (np.concatenate([b[k] for b in blocks]) for k in range(6))
    del blocks
    visitor = visits.visitor[visit]
    sessions = count_sessions(visitor, at)
    by_time = np.lexsort((kind, visitor, at))
    del visitor
    number = np.empty(len(at), dtype=np.int32)
    number[by_time] = np.arange(len(at), dtype=np.int32)
    rows = by_time[np.argsort(day[by_time], kind="stable")]
    return Events(
        day=day[rows],
        visit=visit[rows],
        at=at[rows],
        kind=kind[rows],
        product=product[rows],
        signed_in=signed_in[rows].astype(np.bool_),
        number=number[rows],
        visits=visits,
        visitors=devices,
        sessions=sessions,
    )


def _events_of(
    draws: Draws, visits: Visits, block: Ints, bought: Ints, clock: Clock
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Delivery day, visit, instant (ms), kind, product and sign-in of the events of a block of visits."""
    events, ordering = visits.events[block], visits.order[block]
    n = int(events.sum())
    visit = np.repeat(np.arange(len(block)), events)
    begin = np.cumsum(events) - events
    position = np.arange(n) - begin[visit]
    from_end = events[visit] - 1 - position

    gap = np.minimum(3 + np.rint(draws.exponential(n) * 110.0).astype(np.int64), SESSION_GAP)
    gap = np.where(draws.chance(0.004, n), SESSION_GAP, gap)
    gap = np.where(position == 0, 0, gap)
    elapsed = np.cumsum(gap)
    elapsed -= elapsed[begin[visit]]
    length = elapsed[begin + events - 1]
    first = visits.at[block] - np.where(ordering >= 0, length, 0)
    at = first[visit] + elapsed

    shopping = ordering[visit] >= 0
    kind = np.where(draws.chance(0.55, n) & (position > 0), PRODUCT_VIEW, PAGE_VIEW)
    kind = np.where(draws.chance(0.12, n) & (position > 1) & ~shopping, ADD_TO_CART, kind)
    for back, step in ((2, ADD_TO_CART), (1, CHECKOUT), (0, PURCHASE)):
        kind = np.where(shopping & (from_end == back), step, kind)
    product = draws.integers(0, PRODUCTS, n)
    product = np.where(
        shopping & (kind == ADD_TO_CART), bought[np.maximum(ordering, 0)][visit] if len(bought) else product, product
    )
    product = np.where((kind == PRODUCT_VIEW) | (kind == ADD_TO_CART), product, NONE)
    sign_in = np.minimum(draws.integers(0, 3, len(block)), events - 1)
    signed_in = (visits.account[block][visit] >= 0) & (position >= sign_in[visit])

    day = clock.day_of(at)
    seen = (day >= 0) & (day < clock.days)
    delivered = late_days(draws, 0.01, day, clock)
    at = at * 1000 + draws.integers(0, 1000, len(block))[visit]
    return (
        delivered[seen].astype(np.int16),
        block[visit][seen].astype(np.int32),
        at[seen],
        kind[seen].astype(np.int8),
        product[seen].astype(np.int16),
        signed_in[seen].astype(np.int8),
    )


def count_sessions(visitor: Ints, at: Ints) -> int:
    """Sessions of events (milliseconds): a visitor's gap of more than 30 minutes begins a new one."""
    if not len(at):
        return 0
    sequence = np.lexsort((at, visitor))
    visitor, at = visitor[sequence], at[sequence]
    new = (visitor[1:] != visitor[:-1]) | (at[1:] - at[:-1] > SESSION_GAP * 1000)
    return 1 + int(np.count_nonzero(new))


def _device_of(draws: Draws, persons: Persons, person: Ints) -> Ints:
    """Visitor identifier: a person's first device two times of three, else the second."""
    second = draws.integers(0, 3, len(person)) == 0
    result: Ints = np.where(second, person * DEVICES_PER_PERSON + 1, persons.device[person])
    return result


def _sign_in_once(draws: Draws, visits: Visits, accounts: Accounts, devices: int, clock: Clock) -> Visits:
    """Most devices of account holders are signed in at some time, at the latest at their last visit.

    A device that nobody could sign in on nor ordered with is, but for a few, a stranger's.
    """
    here = np.flatnonzero(visits.visitor < devices)
    known = np.zeros(devices, dtype=np.bool_)
    known[visits.visitor[here][(visits.account[here] >= 0) | (visits.order[here] >= 0)]] = True
    here = here[~known[visits.visitor[here]]]
    here = here[np.lexsort((visits.at[here], visits.visitor[here]))]
    last = here[np.diff(visits.visitor[here], append=-1) != 0]
    own = accounts.primary[visits.visitor[last] // DEVICES_PER_PERSON]
    opened = (
        (own >= 0) & (accounts.created[np.maximum(own, 0)] <= clock.day_of(visits.at[last])) if len(own) else own >= 0
    )
    chosen = draws.chance(_SIGNED_IN_ONCE, len(last))
    account = visits.account.copy()
    account[last] = np.where(opened & chosen, own, account[last])
    stranger = np.isin(visits.visitor, visits.visitor[last[~opened & chosen]])
    beyond = int(visits.visitor.max(initial=0)) + 1
    return replace(visits, account=account, visitor=np.where(stranger, beyond + visits.visitor, visits.visitor))


def _order_visits(draws: Draws, orders: Orders, persons: Persons) -> Visits:
    """A visit for most orders of the web shop and the app; tests and blocked trackers leave none."""
    online = np.isin(orders.channel, (WEB, APP)) & (orders.kind != TEST) & (orders.person >= 0)
    row = np.flatnonzero(online & draws.chance(0.92, len(orders)))
    n = len(row)
    credited = orders.campaign[row]
    return Visits(
        visitor=_device_of(draws, persons, orders.person[row]),
        at=orders.at[row],
        events=draws.integers(4, 9, n),
        account=orders.account[row],
        order=row,
        origin=np.where(credited >= 0, CAMPAIGN_ORIGIN, draws.pick(_ORIGIN_WEIGHTS, n)),
        campaign=credited,
    )


def _click_visits(
    draws: Draws, plan: Campaigns, messages: Messages, reactions: Reactions, persons: Persons, accounts: Accounts
) -> Visits:
    """The visit that opens with each click on a message."""
    clicks = np.flatnonzero(reactions.kind == CLICKED)
    message = reactions.message[clicks]
    campaign = messages.campaign[message]
    here = np.isin(plan.medium[campaign], click_media())
    clicks, message, campaign = clicks[here], message[here], campaign[here]
    n = len(clicks)
    account = messages.account[message]
    return Visits(
        visitor=_device_of(draws, persons, accounts.person[account]),
        at=reactions.at[clicks] + draws.integers(0, 4, n),
        events=draws.integers(1, 6, n),
        account=np.where(draws.chance(0.4, n), account, NONE),
        order=np.full(n, NONE, dtype=np.int64),
        origin=np.full(n, CAMPAIGN_ORIGIN, dtype=np.int64),
        campaign=campaign,
    )


def _browsing(draws: Draws, orders: Orders, persons: Persons, accounts: Accounts, clock: Clock) -> Visits:
    """Visits without an order: of known persons before they order, of strangers, and on nights of a switch."""
    # most orders, of whatever channel, are prepared by a visit in the two weeks before
    prepared = np.flatnonzero((orders.person >= 0) & draws.chance(0.38, len(orders)))
    back = draws.integers(0, 14, len(prepared))
    day = np.maximum(clock.day_of(orders.at[prepared]) - back, 0)
    known = len(prepared)
    strangers = len(persons.country) * clock.days * 2 // 731
    stranger = DEVICES_PER_PERSON * len(persons.country) + draws.integers(0, max(strangers // 2, 1), strangers)
    days = np.concatenate([day, draws.integers(0, clock.days, strangers)])
    visitor = np.concatenate([_device_of(draws, persons, orders.person[prepared]), stranger])
    account = orders.account[prepared]
    opened = accounts.created[np.maximum(account, 0)] <= day if len(accounts.created) else account >= 0
    account = np.where(draws.chance(0.3, known) & opened & (account >= 0), account, NONE)
    account = np.concatenate([account, np.full(strangers, NONE, dtype=np.int64)])
    at = clock.at(days, second_of_day(draws, WEB_HOURS, len(days)))

    # visits of these nights begin between 01:00 and 04:00 local time
    if len(clock.switches):
        night = np.arange(min(12 * len(clock.switches), len(at)))
        switch = clock.switches[night % len(clock.switches)]
        at[len(at) - 1 - night] = clock.at(switch, HOUR + draws.integers(0, 3 * HOUR, len(night)))
    n = len(at)
    return Visits(
        visitor=visitor,
        at=at,
        events=1 + np.minimum(np.rint(draws.exponential(n) * 2.3).astype(np.int64), 14),
        account=account,
        order=np.full(n, NONE, dtype=np.int64),
        origin=draws.pick(_ORIGIN_WEIGHTS, n),
        campaign=np.full(n, NONE, dtype=np.int64),
    )
