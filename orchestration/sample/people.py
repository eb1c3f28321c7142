"""Persons and the accounts they hold in the retailer's systems."""

from dataclasses import dataclass

import numpy as np

from orchestration.sample import names
from orchestration.sample.catalogue import APP, CHANNELS, MARKETPLACE, STORES, WEB
from orchestration.sample.clock import Clock
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.purchases import Purchases

SYSTEMS = ("crm", "shop", "newsletter")
CRM, SHOP, NEWSLETTER = 0, 1, 2
NEVER = 1 << 30
DEVICES_PER_PERSON = 2

_HOME_FRANCE = (18, 12, 8, 30, 10, 12, 5, 5)
_HOME_ABROAD = (0, 0, 0, 55, 15, 20, 5, 5)


@dataclass(frozen=True)
class Persons:
    """What is true of each person; names, towns and streets are positions in the lists of `names`."""

    country: Ints
    female: Bools
    first: Ints
    last: Ints
    domain: Ints
    phone: Ints  # number within the country's fictional range, -1 for none
    birth: Ints  # epoch day
    gender: Ints  # 0 not said, 1 female, 2 male, 3 other
    address: Ints  # two addresses: (persons, 2), each a number that town, street and house are taken from
    moves: Ints  # day of moving to the second address, NEVER for most
    home: Ints  # channel usually bought in
    has_account: Bools
    first_day: Ints  # day of the first purchase, NEVER for none
    mailbox: Ints  # person whose e-mail address it is, most often oneself
    device: Ints  # the visitor identifier of the device used most


@dataclass(frozen=True)
class Accounts:
    """Accounts in the order in which they were opened; days count from the start of the range."""

    person: Ints
    system: Ints
    created: Ints
    spelling: Ints  # see names.spellings
    mail: Ints  # 0 own address, 1 capitals, 2 tagged, 3 another address, 4 misspelt, 5 none, 6 invalid
    phone: Ints  # 0 spaced, 1 international, 2 none
    member: Ints  # day of joining the loyalty programme, NEVER for none
    moves: Ints  # day on which the system learns the new address
    mail_changes: Ints  # day on which the address changes to another
    primary: Ints  # (persons): account of counter sales, -1 for none
    online: Ints  # (persons): second, web-shop account, -1 for none


def make_persons(draws: Draws, purchases: Purchases, persons: int, clock: Clock) -> Persons:
    """Persons with their attributes, independent of what they buy."""
    country = draws.pick(names.COUNTRY_WEIGHTS, persons)
    female = draws.chance(0.55, persons)
    first = np.where(female, draws.integers(0, len(names.FEMALE), persons), draws.integers(0, len(names.MALE), persons))
    phone = np.full(persons, -1, dtype=np.int64)
    for code, ranges in enumerate(names.PHONES):
        here = np.flatnonzero(country == code)
        room = len(ranges) * 10 ** names.PHONE_DIGITS[code] if ranges else 0
        numbers = draws.order(room)[: len(here)]
        phone[here[: len(numbers)]] = numbers
    phone[~draws.chance(0.7, persons)] = -1
    gender = np.where(female, 1, 2)
    gender = np.where(draws.chance(0.02, persons), 3, gender)
    gender[draws.chance(0.25, persons)] = 0
    home = np.where(country == 0, draws.pick(_HOME_FRANCE, persons), draws.pick(_HOME_ABROAD, persons))
    moves = draws.integers(0, 365 * 11, persons)
    first_day = np.full(persons, NEVER, dtype=np.int64)
    # purchases are ordered by person and time
    starts = np.flatnonzero(np.diff(purchases.person, prepend=-1))
    first_day[purchases.person[starts]] = purchases.day[starts]
    return Persons(
        country=country,
        female=female,
        first=first,
        last=draws.integers(0, len(names.LAST), persons),
        domain=draws.integers(0, len(names.DOMAINS), persons),
        phone=phone,
        birth=draws.integers(-14_000, 13_000, persons),
        gender=gender,
        address=draws.integers(0, 1 << 40, 2 * persons).reshape(persons, 2),
        moves=np.where(moves < clock.days, moves, NEVER),
        home=home,
        has_account=draws.chance(0.94, persons) | (first_day == NEVER),
        first_day=first_day,
        mailbox=np.arange(persons),
        device=DEVICES_PER_PERSON * np.arange(persons),
    )


def make_accounts(draws: Draws, persons: Persons, clock: Clock) -> Accounts:
    """One account for most persons, two or three for some, none for those who only buy as guests."""
    n = len(persons.country)
    holder = np.flatnonzero(persons.has_account)
    first_day = persons.first_day[holder]
    buyer = first_day != NEVER
    early = np.where(draws.chance(0.35, len(holder)), draws.integers(1, 40, len(holder)), 0)
    early = np.where(draws.chance(0.08, len(holder)), draws.integers(40, 400, len(holder)), early)
    idle = draws.integers(-200, clock.days, len(holder))
    created = np.where(buyer, first_day - early, idle)
    online_first = np.isin(persons.home[holder], (WEB, APP, MARKETPLACE))
    system = np.where(online_first, SHOP, CRM)

    twin = holder[draws.chance(0.2, len(holder)) & ~online_first & buyer]
    twin_created = _day_after(draws, persons.first_day[twin], clock)
    reader = np.flatnonzero(draws.chance(0.16, n))
    reader_created = _day_after(draws, np.minimum(persons.first_day[reader], clock.days - 1) - 30, clock)

    person = np.concatenate([holder, twin, reader])
    systems = np.concatenate([system, np.full(len(twin), SHOP), np.full(len(reader), NEWSLETTER)])
    opened = np.concatenate([created, twin_created, reader_created])
    further = np.concatenate([np.zeros(len(holder), bool), np.ones(len(twin) + len(reader), bool)])
    sequence = np.lexsort((systems, person, opened))
    person, systems, opened, further = (x[sequence] for x in (person, systems, opened, further))

    m = len(person)
    joins = np.where(draws.chance(0.5, m), opened, opened + draws.integers(1, 300, m))
    joins = np.where((systems == CRM) & draws.chance(0.6, m) & (joins < clock.days), joins, NEVER)
    moves = persons.moves[person] + draws.integers(0, 20, m)
    moves = np.where((moves > opened) & (moves < clock.days) & (systems != NEWSLETTER), moves, NEVER)
    changes = draws.integers(0, 365 * 25, m)
    changes = np.where((changes > opened) & (changes < clock.days), changes, NEVER)
    first_mail, further_mail = (
        draws.pick((80, 7, 0, 0, 1, 11, 1), m),
        draws.pick((35, 20, 10, 25, 8, 0, 2), m),
    )
    # few subscribe to a newsletter under an address that no other record of theirs has
    reading = draws.pick((60, 20, 13, 3, 3, 0, 1), m)
    further_mail = np.where(systems == NEWSLETTER, reading, further_mail)
    mail = np.where(further, further_mail, first_mail)
    subscribed = np.isin(person, reader)
    mail = np.where((mail == 5) & ((systems != CRM) | (subscribed & draws.chance(0.8, m))), 0, mail)
    primary, online = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    main = np.flatnonzero(~further)
    primary[person[main]] = main
    second = np.flatnonzero(further & (systems == SHOP))
    online[person[second]] = second
    return Accounts(
        person=person,
        system=systems,
        created=opened,
        spelling=np.where(further, draws.pick((45, 12, 18, 12, 8, 5), m), draws.pick((92, 3, 3, 2), m)),
        mail=mail,
        phone=draws.pick((55, 25, 20), m),
        member=joins,
        moves=moves,
        mail_changes=changes,
        primary=primary,
        online=online,
    )


def _day_after(draws: Draws, day: Ints, clock: Clock) -> Ints:
    """A day of the range on or after each given one."""
    begin = np.maximum(day, 0)
    room = np.maximum(clock.days - begin, 1)
    result: Ints = begin + (draws.uniform(len(day)) * room).astype(np.int64)
    return result


def choose_channel(draws: Draws, persons: Persons, person: Ints) -> Ints:
    """Channel of each purchase: usually the person's own, stores only in France."""
    n = len(person)
    other = np.where(persons.country[person] == 0, draws.pick(_HOME_FRANCE, n), draws.pick(_HOME_ABROAD, n))
    result: Ints = np.where(draws.chance(0.72, n), persons.home[person], other)
    return result


def choose_account(accounts: Accounts, person: Ints, channel: Ints, day: Ints) -> Ints:
    """Account used for each purchase: the web-shop one online once it exists, else the main one; -1 for none."""
    if not len(accounts.person):
        return np.full(len(person), -1, dtype=np.int64)
    online = accounts.online[person]
    ready = (online >= 0) & (accounts.created[np.maximum(online, 0)] <= day) & (channel >= STORES)
    result: Ints = np.where(ready & (channel < len(CHANNELS) - 1), online, accounts.primary[person])
    return result
