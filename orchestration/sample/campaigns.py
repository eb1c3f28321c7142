"""Campaigns: whom they address, whom they hold back, and the orders they really cause."""

from dataclasses import dataclass

import numpy as np

from orchestration.sample.catalogue import WEB
from orchestration.sample.clock import DAY, HOUR, SEND_HOURS, Clock, second_of_day
from orchestration.sample.crm import EMAIL, MAIL, PROFILING, SMS, Consents, agrees
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.orders import NONE, UPLIFT, Orders, currency_of
from orchestration.sample.people import NEWSLETTER, Accounts, Persons
from orchestration.sample.purchases import Latent, Model, draw_baskets

MEDIA = ("email", "sms", "push", "mail", "ads")
BY_EMAIL, BY_SMS, BY_PUSH, BY_MAIL, BY_ADS = range(5)
_CONSENT = (EMAIL, SMS, PROFILING, MAIL, PROFILING)
_CYCLE = (BY_EMAIL, BY_EMAIL, BY_SMS, BY_EMAIL, BY_PUSH, BY_MAIL, BY_EMAIL, BY_ADS)
# mean probability, in ten-thousandths, that a message causes an order that would not have been
_EFFECT = (250, 200, 120, 350, 60)
# thousandths of the eligible accounts that are addressed
_REACH = (960, 980, 950, 800, 980)
_OBJECTIVES = ("loyalty", "reactivation", "new collection", "stock clearance", "welcome")
_THEMES = ("Lantern days", "Winter table", "Tea time", "Spring garden", "Summer, outside", "Back to the desk")
WINDOW = 7 * DAY
ANNOUNCED = 10
# share of the addressed accounts that a campaign with a control group holds back
HELD_BACK = 0.15


@dataclass(frozen=True)
class Campaigns:
    """One row per campaign; days count from the start of the range, `effect` in ten-thousandths."""

    medium: Ints
    objective: Ints
    begin: Ints
    end: Ints
    has_control: Bools
    effect: Ints
    renamed_on: Ints

    def __len__(self) -> int:
        return len(self.medium)

    def code(self, k: int) -> str:
        """Campaign code of row k."""
        return f"CMP{k + 1:04d}"

    def name(self, k: int, renamed: bool) -> str:
        """Name of row k, as announced or as changed afterwards."""
        theme = _THEMES[k % len(_THEMES)]
        return f'{theme} "{k + 1}", second wave' if renamed else f"{theme} {k + 1}"

    def objective_name(self, k: int) -> str:
        """What the campaign of row k is for."""
        return _OBJECTIVES[int(self.objective[k])]


@dataclass(frozen=True)
class Messages:
    """One row per message or control assignment, by time; `order` is the order it is followed by.

    `order` counts first the model's orders, then the caused ones; `caused` is true for the latter.
    """

    campaign: Ints
    account: Ints
    at: Ints
    control: Bools
    order: Ints
    caused: Bools

    def __len__(self) -> int:
        return len(self.campaign)


@dataclass(frozen=True)
class Effect:
    """Of each campaign: audience, those held back, those who would have ordered anyway."""

    audience: Ints
    held_back: Ints
    ordering_anyway: Ints


def plan_campaigns(draws: Draws, clock: Clock) -> Campaigns:
    """About one campaign a month; each fifth has no control group, each sixth no effect."""
    begins = np.arange(5, clock.days + ANNOUNCED, 30)
    n = len(begins)
    rows = np.arange(n)
    begins = begins + draws.integers(0, 4, n)
    medium = np.asarray(_CYCLE, dtype=np.int64)[rows % len(_CYCLE)]
    effect = np.asarray(_EFFECT, dtype=np.int64)[medium] * draws.integers(60, 141, n) // 100
    renamed = begins + 2
    known = begins - ANNOUNCED < clock.days
    return Campaigns(
        medium=medium[known],
        objective=draws.integers(0, len(_OBJECTIVES), n)[known],
        begin=begins[known],
        end=(begins + draws.integers(3, 15, n))[known],
        has_control=(rows % 5 != 4)[known],
        effect=np.where(rows % 6 == 3, 0, effect)[known],
        renamed_on=np.where((rows % 4 == 1) & (renamed < clock.days), renamed, 1 << 30)[known],
    )


def address(
    draws: Draws, campaigns: Campaigns, k: int, accounts: Accounts, consents: Consents, clock: Clock
) -> tuple[Ints, Ints, Bools]:
    """Accounts, instants and control flags of one campaign, only those who agreed; sent over two days."""
    medium, begin = int(campaigns.medium[k]), int(campaigns.begin[k])
    eligible = agrees(consents, _CONSENT[medium], begin) & (accounts.created < begin)
    if medium != BY_EMAIL:
        eligible &= accounts.system != NEWSLETTER
    account = np.flatnonzero(eligible)
    account = account[draws.integers(0, 1000, len(account)) < _REACH[medium]]
    day = begin + draws.integers(0, 2, len(account))
    second = second_of_day(draws, SEND_HOURS, len(account))
    control = draws.chance(HELD_BACK, len(account)) & bool(campaigns.has_control[k])
    seen = day < clock.days
    return account[seen], clock.at(day[seen], second[seen]), control[seen]


def next_order(base: Orders, sequence: Ints, key: Ints, account: Ints, at: Ints, origin: int) -> Ints:
    """The first order of each account within the window after an instant, -1 for none.

    `sequence` sorts the orders by account and time, `key` is their sorted key (see `order_key`).
    """
    if not len(sequence):
        return np.full(len(account), NONE, dtype=np.int64)
    spot = np.searchsorted(key, order_key(account, at, origin), side="left")
    found = sequence[np.minimum(spot, len(sequence) - 1)]
    fits = (spot < len(sequence)) & (base.account[found] == account) & (base.at[found] - at <= WINDOW)
    result: Ints = np.where(fits, found, NONE)
    return result


def order_key(account: Ints, at: Ints, origin: int) -> Ints:
    """A number that sorts by account, then by instant."""
    result: Ints = ((account + 1) << 32) + (at - origin)
    return result


def caused_orders(
    draws: Draws,
    plan: Campaigns,
    k: int,
    account: Ints,
    at: Ints,
    accounts: Accounts,
    persons: Persons,
    latent: Latent,
    model: Model,
    clock: Clock,
) -> tuple[Orders, Bools]:
    """Orders that exist only because of a message, and which of the given messages caused one."""
    chance = draws.integers(0, 10_000, len(account)) < plan.effect[k]
    when = at + draws.integers(HOUR, 6 * DAY, len(account))
    chance &= clock.day_of(when) < clock.days
    who = account[chance]
    person = accounts.person[who]
    n = len(who)
    channel = np.where(draws.chance(0.8, n), WEB, persons.home[person])
    orders = Orders(
        kind=np.full(n, UPLIFT, dtype=np.int64),
        person=person,
        account=who,
        channel=channel,
        currency=currency_of(persons, person, channel),
        at=when[chance],
        basket=draw_baskets(draws, model, latent.nu[person]),
        campaign=np.where(draws.chance(0.7, n), k, NONE),
        cancelled_at=np.full(n, NONE, dtype=np.int64),
    )
    return orders, chance


@dataclass(frozen=True)
class Costs:
    """Cost rows in cents of EUR, by delivery day; a corrected cost comes again on a later day."""

    day: Ints
    campaign: Ints
    cost_day: Ints
    amount: Ints


def make_costs(draws: Draws, plan: Campaigns, messages: Messages, clock: Clock) -> Costs:
    """A fixed cost on each day of a campaign and a price per message on its first; some corrected next day."""
    price = np.asarray((2, 7, 1, 95, 30), dtype=np.int64)
    sent = np.bincount(messages.campaign[~messages.control], minlength=len(plan))
    rows: list[tuple[int, int, int, int]] = []
    fixed = draws.integers(900, 6000, len(plan))
    for k in range(len(plan)):
        for day in range(int(plan.begin[k]), min(int(plan.end[k]) + 1, clock.days)):
            first = day == int(plan.begin[k])
            amount = int(fixed[k]) + (int(sent[k] * price[plan.medium[k]]) if first else 0)
            if first and k % 4 == 2 and day + 1 < clock.days:
                rows.append((day, k, day, amount + 1234))
                rows.append((day + 1, k, day, amount))
            else:
                rows.append((day, k, day, amount))
    table = np.asarray(sorted(rows), dtype=np.int64).reshape(-1, 4)
    return Costs(day=table[:, 0], campaign=table[:, 1], cost_day=table[:, 2], amount=table[:, 3])
