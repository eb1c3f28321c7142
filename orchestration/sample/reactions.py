"""What happens to messages after they are sent, and the campaigns of the range played one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.sample.campaigns import (
    BY_ADS,
    BY_EMAIL,
    BY_MAIL,
    BY_PUSH,
    BY_SMS,
    Campaigns,
    Effect,
    Messages,
    address,
    caused_orders,
    next_order,
    order_key,
)
from orchestration.sample.clock import DAY, HOUR, Clock
from orchestration.sample.crm import EMAIL, SMS, Consents, withdraw
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.orders import NONE, Orders
from orchestration.sample.people import Accounts, Persons
from orchestration.sample.purchases import Latent, Model

KINDS = ("delivered", "opened", "clicked", "converted", "unsubscribed", "complained", "bounced")
DELIVERED, OPENED, CLICKED, CONVERTED, UNSUBSCRIBED, COMPLAINED, BOUNCED = range(7)
NO_AGENT, HUMAN, MACHINE = range(3)
AGENTS = (None, "Mozilla/5.0 (Mobile) FidelisMail/3", "Mozilla/5.0 (proxy; image prefetch)")

# probabilities by medium: bounced; opened, clicked of those delivered; unsubscribed, complained of those
# who opened (or, where openings are not seen, of those delivered)
_BOUNCE = (0.02, 0.01, 0.08, 0.01, 0.0)
_OPEN = (0.36, 0.0, 0.14, 0.0, 0.0)
_CLICK_OF_OPEN = (0.2, 0.0, 0.5, 0.0, 0.0)
_CLICK = (0.0, 0.09, 0.0, 0.0, 0.04)
_LEAVE = (0.012, 0.008, 0.0, 0.0, 0.0)
_COMPLAIN = (0.002, 0.001, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Reactions:
    """One row per reaction, by time; `order` as in `Messages`, set on conversions only."""

    message: Ints
    kind: Ints
    at: Ints
    order: Ints
    agent: Ints


@dataclass(frozen=True)
class Played:
    """All campaigns with their messages, reactions, effect, and the orders they caused."""

    messages: Messages
    reactions: Reactions
    caused: Orders
    effect: Effect


def play_campaigns(
    draws: Draws,
    plan: Campaigns,
    base: Orders,
    accounts: Accounts,
    persons: Persons,
    consents: Consents,
    latent: Latent,
    model: Model,
    clock: Clock,
) -> Played:
    """Run the campaigns in order, so that who unsubscribed from one is not addressed by the next."""
    origin = int(clock.midnights[0])
    identified = np.flatnonzero(base.account >= 0)
    key = order_key(base.account[identified], base.at[identified], origin)
    by_key = np.argsort(key, kind="stable")
    sequence, key = identified[by_key], key[by_key]

    messages: list[Messages] = []
    reactions: list[Reactions] = []
    caused: list[Orders] = []
    held, anyway, audience = [], [], []
    first_message, first_caused = 0, len(base)
    for k in range(len(plan)):
        account, at, control = address(draws, plan, k, accounts, consents, clock)
        by_time = np.lexsort((account, at))
        account, at, control = account[by_time], at[by_time], control[by_time]
        order = next_order(base, sequence, key, account, at, origin)
        natural = order != NONE
        open_to_effect = np.flatnonzero(~natural & ~control)
        new, caused_one = caused_orders(
            draws,
            plan,
            k,
            account[open_to_effect],
            at[open_to_effect],
            accounts,
            persons,
            latent,
            model,
            clock,
        )
        rows = open_to_effect[caused_one]
        order[rows] = first_caused + np.arange(len(rows))
        by_campaign = np.zeros(len(account), dtype=np.bool_)
        by_campaign[rows] = True
        instants = np.full(len(account), NONE, dtype=np.int64)
        instants[natural], instants[rows] = base.at[order[natural]], new.at
        part = Messages(np.full(len(account), k, dtype=np.int64), account, at, control, order, by_campaign)
        reacted = _react(draws, int(plan.medium[k]), part, instants, clock)
        leaving = np.isin(reacted.kind, (UNSUBSCRIBED, COMPLAINED))
        kind = SMS if plan.medium[k] == BY_SMS else EMAIL
        left, when = account[reacted.message[leaving]], reacted.at[leaving]
        withdraw(consents, left, kind, clock.day_of(when), clock.wall(when))
        messages.append(part)
        reactions.append(
            Reactions(reacted.message + first_message, reacted.kind, reacted.at, reacted.order, reacted.agent)
        )
        caused.append(new)
        audience.append(len(account))
        held.append(int(control.sum()))
        anyway.append(int(natural.sum()))
        first_message += len(account)
        first_caused += len(new)
    return Played(
        messages=_join_messages(messages),
        reactions=_join_reactions(reactions),
        caused=Orders.concatenate([base.take(np.zeros(0, dtype=np.int64)), *caused]),
        effect=Effect(*(np.asarray(x, dtype=np.int64) for x in (audience, held, anyway))),
    )


def _react(draws: Draws, medium: int, messages: Messages, ordered: Ints, clock: Clock) -> Reactions:
    """Reactions to the messages of one campaign up to the end of the range; `ordered` is when, or -1.

    A conversion is an order within seven days; it is measured for those held back too.
    """
    n = len(messages)
    sent = ~messages.control
    bounced = sent & draws.chance(_BOUNCE[medium], n) & ~messages.caused
    arrived = sent & ~bounced
    reports = medium in (BY_EMAIL, BY_SMS, BY_PUSH)
    arrived_at = messages.at + draws.integers(2, 600, n)
    machine = arrived & draws.chance(0.15 if medium == BY_EMAIL else 0.0, n)
    forced = messages.caused & draws.chance(0.85, n)
    room = np.where(forced, ordered - arrived_at, 0)

    seen = arrived & (draws.chance(_OPEN[medium], n) | (forced & (_OPEN[medium] > 0)))
    lag = np.rint(draws.exponential(n) * (9 * HOUR)).astype(np.int64)
    opened_at = arrived_at + np.where(forced, room // 4, np.minimum(lag, 6 * DAY)) + 1
    clicked = seen & draws.chance(_CLICK_OF_OPEN[medium], n) | arrived & draws.chance(_CLICK[medium], n)
    clicked |= forced & arrived & (medium != BY_MAIL)
    clicked_at = opened_at + np.where(forced, room // 4, draws.integers(5, 900, n))
    base = seen if _OPEN[medium] > 0 else arrived
    leaves = base & draws.chance(_LEAVE[medium], n)
    complains = base & draws.chance(_COMPLAIN[medium], n)
    again = seen & draws.chance(0.15, n)
    bounced_at = messages.at + draws.integers(1, 4 * DAY if medium == BY_MAIL else HOUR, n)
    converted = messages.order != NONE

    table: list[tuple[int, Bools, Ints, int]] = [
        (DELIVERED, arrived & reports, arrived_at, NO_AGENT),
        (BOUNCED, bounced, bounced_at, NO_AGENT),
        (OPENED, machine, arrived_at + draws.integers(1, 90, n), MACHINE),
        (OPENED, seen, opened_at, HUMAN),
        (OPENED, again, opened_at + draws.integers(HOUR, 2 * DAY, n), HUMAN),
        (CLICKED, clicked, clicked_at, HUMAN),
        (UNSUBSCRIBED, leaves, opened_at + draws.integers(20, 400, n), NO_AGENT),
        (COMPLAINED, complains, opened_at + draws.integers(20, 400, n), NO_AGENT),
        (CONVERTED, converted, ordered, NO_AGENT),
    ]
    rows = [np.flatnonzero(keep & (clock.day_of(at) < clock.days)) for _, keep, at, _ in table]
    message = np.concatenate(rows)
    kind = np.concatenate([np.full(len(r), t[0], dtype=np.int64) for r, t in zip(rows, table, strict=True)])
    at = np.concatenate([t[2][r] for r, t in zip(rows, table, strict=True)])
    agent = np.concatenate([np.full(len(r), t[3], dtype=np.int64) for r, t in zip(rows, table, strict=True)])
    order = np.where(kind == CONVERTED, messages.order[message], NONE)
    return Reactions(message=message, kind=kind, at=at, order=order, agent=agent)


def _join_messages(parts: list[Messages]) -> Messages:
    return Messages(
        campaign=_joined([p.campaign for p in parts]).astype(np.int16),
        account=_joined([p.account for p in parts]).astype(np.int32),
        at=_joined([p.at for p in parts]),
        control=_joined([p.control for p in parts]).astype(np.bool_),
        order=_joined([p.order for p in parts]).astype(np.int32),
        caused=_joined([p.caused for p in parts]).astype(np.bool_),
    )


def _join_reactions(parts: list[Reactions]) -> Reactions:
    at = _joined([p.at for p in parts])
    message, order = (_joined(x).astype(np.int32) for x in ([p.message for p in parts], [p.order for p in parts]))
    kind, agent = (_joined(x).astype(np.int8) for x in ([p.kind for p in parts], [p.agent for p in parts]))
    sequence = np.lexsort((kind, message, at))
    return Reactions(message[sequence], kind[sequence], at[sequence], order[sequence], agent[sequence])


def _joined(parts: Sequence[Ints | Bools]) -> Ints:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts]).astype(np.int64)


def click_media() -> tuple[int, ...]:
    """Media whose clicks open the web shop."""
    return (BY_EMAIL, BY_SMS, BY_PUSH, BY_ADS)
