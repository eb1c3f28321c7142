"""What the CRM delivers: the rows of changed accounts, and decisions about consent."""

from dataclasses import dataclass

import numpy as np

from orchestration.sample.clock import HOUR, Clock
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.people import CRM, NEVER, NEWSLETTER, Accounts

CONSENT_TYPES = ("email", "sms", "mail", "profiling")
EMAIL, SMS, MAIL, PROFILING = range(4)


@dataclass(frozen=True)
class AccountFeed:
    """One row per changed account and delivery day, by day and account."""

    day: Ints
    account: Ints
    updated_at: Ints  # local wall-clock seconds


@dataclass
class Consents:
    """The first decision of each account and type, and when a consent ended (day, NEVER; wall seconds)."""

    asked: Bools  # (accounts, types)
    granted: Bools  # (accounts, types)
    begin: Ints  # (accounts) wall seconds of the first decisions
    end_day: Ints  # (accounts, types)
    end_at: Ints  # (accounts, types)
    again_day: Ints  # (accounts, types) day of granting again
    again_at: Ints


@dataclass(frozen=True)
class ConsentFeed:
    """One row per decision, by delivery day, account, type; `at` in local wall-clock seconds."""

    day: Ints
    account: Ints
    kind: Ints
    granted: Bools
    at: Ints


def deliver_accounts(draws: Draws, accounts: Accounts, clock: Clock) -> AccountFeed:
    """Accounts on the day they are opened (older ones on the first day) and on each day they change."""
    rows = np.arange(len(accounts.person))
    events = (accounts.created, accounts.moves, accounts.member, accounts.mail_changes)
    parts = [(np.maximum(day, 0)[day < clock.days], rows[day < clock.days]) for day in events]
    key = np.concatenate([day * len(rows) + row for day, row in parts]) if len(rows) else rows
    key = np.unique(key)
    day, account = key // max(len(rows), 1), key % max(len(rows), 1)
    second = draws.integers(9 * HOUR, 20 * HOUR, len(day))
    happened = np.where((day == 0) & (accounts.created[account] < 0), accounts.created[account], day)
    return AccountFeed(day=day, account=account, updated_at=clock.wall_at(happened, second))


def first_decisions(draws: Draws, accounts: Accounts, clock: Clock) -> Consents:
    """Decisions on opening the account, and spontaneous withdrawals later."""
    n = len(accounts.person)
    reader = accounts.system == NEWSLETTER
    asked = np.ones((n, 4), dtype=np.bool_)
    asked[reader] = [True, False, False, True]
    chances = np.where(accounts.system[:, None] == CRM, [0.66, 0.45, 0.6, 0.6], [0.72, 0.3, 0.3, 0.55])
    granted = asked & draws.chance(chances.ravel(), 4 * n).reshape(n, 4)
    granted[reader, EMAIL] = True
    lag = draws.integers(10, 1500, 4 * n).reshape(n, 4)
    end_day = np.maximum(accounts.created, 0)[:, None] + lag
    # about one in ten of those who agreed withdraws within a year
    ends = granted & draws.chance(0.4, 4 * n).reshape(n, 4) & (end_day < clock.days)
    end_day = np.where(ends, end_day, NEVER)
    second = draws.integers(8 * HOUR, 21 * HOUR, 4 * n).reshape(n, 4)
    again = end_day + draws.integers(30, 200, 4 * n).reshape(n, 4)
    again = np.where(ends & draws.chance(0.1, 4 * n).reshape(n, 4) & (again < clock.days), again, NEVER)
    return Consents(
        asked=asked,
        granted=granted,
        begin=clock.wall_at(accounts.created, draws.integers(9 * HOUR, 20 * HOUR, n)),
        end_day=end_day,
        end_at=clock.wall_at(end_day, second),
        again_day=again,
        again_at=clock.wall_at(again, second + HOUR),
    )


def withdraw(consents: Consents, account: Ints, kind: int, day: Ints, wall: Ints) -> None:
    """Record a withdrawal that came by an unsubscription, unless the consent had ended before."""
    sooner = day < consents.end_day[account, kind]
    rows = account[sooner]
    consents.end_day[rows, kind] = day[sooner]
    consents.end_at[rows, kind] = wall[sooner]
    consents.again_day[rows, kind] = NEVER


def agrees(consents: Consents, kind: int, day: int) -> Bools:
    """Accounts whose consent of a type stands on a day, those who agreed again left out."""
    result: Bools = consents.granted[:, kind] & (consents.end_day[:, kind] > day)
    return result


def deliver_consents(accounts: Accounts, consents: Consents, clock: Clock) -> ConsentFeed:
    """All decisions of the range; those taken before it come on the first day."""
    opened = np.repeat(np.maximum(accounts.created, 0)[:, None], 4, axis=1)
    begin = np.repeat(consents.begin[:, None], 4, axis=1)
    parts = [
        (consents.asked, opened, consents.granted, begin),
        (consents.end_day < clock.days, consents.end_day, np.zeros_like(consents.granted), consents.end_at),
        (
            consents.again_day < clock.days,
            consents.again_day,
            np.ones_like(consents.granted),
            consents.again_at,
        ),
    ]
    where = [np.nonzero(keep) for keep, _, _, _ in parts]
    account = np.concatenate([w[0] for w in where])
    kind = np.concatenate([w[1] for w in where])
    day = np.concatenate([d[w] for w, (_, d, _, _) in zip(where, parts, strict=True)])
    granted = np.concatenate([g[w] for w, (_, _, g, _) in zip(where, parts, strict=True)])
    at = np.concatenate([t[w] for w, (_, _, _, t) in zip(where, parts, strict=True)])
    sequence = np.lexsort((at, kind, account, day))
    day, account, kind, granted, at = (x[sequence] for x in (day, account, kind, granted, at))
    return ConsentFeed(day=day, account=account, kind=kind, granted=granted, at=at)
