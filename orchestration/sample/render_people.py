"""Rows of the customer and consent files."""

import numpy as np

from orchestration.sample import names
from orchestration.sample.catalogue import CHANNELS
from orchestration.sample.crm import CONSENT_TYPES
from orchestration.sample.draws import Ints
from orchestration.sample.layout import LAYOUTS
from orchestration.sample.people import NEWSLETTER, SYSTEMS, Accounts, Persons
from orchestration.sample.text import (
    Column,
    booleans,
    dates,
    identifiers,
    join,
    numbers,
    separated,
    timestamps,
    where,
    words,
)
from orchestration.sample.world import World

_OWN, _CAPITALS, _TAGGED, _OTHER, _MISSPELT, _NONE, _INVALID = range(7)
_PREFIXES = ("C", "S", "N")
_WORK_DOMAIN = "example.net"


def account_ids(accounts: Accounts, rows: Ints) -> Column:
    """Account numbers: a letter for the system and a number; null for negative rows."""
    prefix = words(_PREFIXES, np.where(rows < 0, -1, accounts.system[np.maximum(rows, 0)]) if len(rows) else rows)
    return join(prefix, identifiers("", rows, 8))


def emails(persons: Persons, person: Ints, way: Ints) -> Column:
    """Addresses of persons as they wrote them in one place; null for persons below 0."""
    nobody = person < 0
    capitals, misspelt, other = way == _CAPITALS, way == _MISSPELT, way == _OTHER
    own = np.maximum(person, 0)
    who = np.where(other, own, persons.mailbox[own])
    firsts = [names.mailbox(n) for n in (*names.FEMALE, *names.MALE)]
    lasts = [names.mailbox(n) for n in names.LAST]
    first = np.where(persons.female[who], 0, len(names.FEMALE)) + persons.first[who]
    last = persons.last[who]
    first_texts = [*firsts, *(n.capitalize() for n in firsts), *(n[0] for n in firsts)]
    last_texts = [*lasts, *(n.capitalize() for n in lasts), *(names.misspelt(n) for n in lasts)]
    local = join(
        words(first_texts, first + len(firsts) * np.select([capitals, other], [1, 2], 0)),
        words((".", "_"), other.astype(np.int64)),
        words(last_texts, last + len(lasts) * np.select([capitals, misspelt], [1, 2], 0)),
        # another address of the same person shares no number with the first
        numbers(np.where(other, who ^ 0x155, who)),
        words(("", "+shop"), (way == _TAGGED).astype(np.int64)),
    )
    domain = words((*names.DOMAINS, _WORK_DOMAIN), np.where(other, len(names.DOMAINS), persons.domain[who]))
    at = words(("@", " at "), (way == _INVALID).astype(np.int64))
    return where(~nobody & (way != _NONE), join(local, at, domain))


def phones(persons: Persons, person: Ints, way: Ints) -> Column:
    """Telephone numbers in fictional ranges, in the spelling of one place; null where there is none."""
    country, number = persons.country[person], persons.phone[person]
    digits = np.asarray(names.PHONE_DIGITS, dtype=np.int64)[country]
    low, high = number % 100, number // 100 % 100
    area = np.where(digits == 4, number // 10_000, number // 100)
    starts = np.cumsum([0, *(len(ranges) for ranges in names.PHONES)])[:-1]
    ranges = [pair for country_ranges in names.PHONES for pair in country_ranges]
    known = (number >= 0) & (way < 2)
    index = np.where(known, starts[country] + area, -1)
    pairs = [f"{k:02d}" for k in range(100)]
    four = digits == 4
    spaced = join(
        words([r[0] for r in ranges], index),
        where(four, words([f"{p} " for p in pairs], high), words([""], high * 0)),
        words(pairs, low),
    )
    plain = join(
        words([r[1] for r in ranges], index),
        where(four, words(pairs, high), words([""], high * 0)),
        words(pairs, low),
    )
    return where(way == 1, plain, spaced)


def _place(persons: Persons, person: Ints, moved: Ints) -> tuple[Column, Column, Column]:
    """Street, postal code and town of the first or second address."""
    address = persons.address[person, moved]
    country = persons.country[person]
    towns = [town for towns in names.TOWNS for town in towns]
    begins = np.cumsum([0, *(len(t) for t in names.TOWNS)])
    starts, counts = begins[:-1], np.diff(begins)
    town = starts[country] + address % counts[country]
    ends = [end for code in range(len(names.COUNTRIES)) for end in names.postal_ends(code)]
    end = country * 100 + address // 64 % 20
    street = join(
        numbers(1 + address // 4096 % 180),
        words([f" {s}" for s in names.STREETS], (address >> 24) % len(names.STREETS)),
    )
    postal = join(words([t[1] for t in towns], town), words(ends, end))
    return street, postal, words([t[0] for t in towns], town)


def render_customers(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the customer feed: each account as of the delivery day."""
    feed, accounts, persons = world.account_feed, world.accounts, world.persons
    account, day = feed.account[lo:hi], feed.day[lo:hi]
    person, system = accounts.person[account], accounts.system[account]
    reader = system == NEWSLETTER
    way = accounts.spelling[account]
    first_names, last_names = names.spellings((*names.FEMALE, *names.MALE)), names.spellings(names.LAST)
    first = np.where(persons.female[person], 0, len(names.FEMALE)) + persons.first[person]
    first = first + way * (len(names.FEMALE) + len(names.MALE))
    # an initial for a family name would leave nothing to recognise
    last = persons.last[person] + np.where(way == 5, 0, way) * len(names.LAST)
    mail = np.where(accounts.mail_changes[account] <= day, _OTHER, accounts.mail[account])
    street, postal, town = _place(persons, person, (accounts.moves[account] <= day).astype(np.int64))
    is_member = accounts.member[account] <= day
    epoch = world.clock.first_epoch_day
    known_birth = ~reader & (account % 10 < 7)
    acquired_by = world.plan.begin
    campaign = np.searchsorted(acquired_by, accounts.created[account], side="right") - 1
    brought = (account % 16 == 3) & (campaign >= 0)
    columns = [
        account_ids(accounts, account),
        words(SYSTEMS, system),
        emails(persons, person, mail),
        where(~reader, phones(persons, person, accounts.phone[account])),
        where(~reader | (account % 2 == 0), words(first_names, first)),
        where(~reader, words(last_names, last)),
        where(~reader, street),
        where(~reader, postal),
        where(~reader, town),
        words(names.COUNTRIES, persons.country[person]),
        dates(persons.birth[person], ~known_birth),
        where(~reader, words(("", "female", "male", "other"), persons.gender[person])),
        booleans(is_member),
        dates(epoch + np.where(is_member, accounts.member[account], 0), ~is_member),
        where(is_member, identifiers("LOY", account, 9)),
        where(~reader, words([c[0] for c in CHANNELS], persons.home[person])),
        words([world.plan.code(k) for k in range(len(world.plan))], np.where(brought, campaign, -1)),
        dates(epoch + accounts.created[account]),
        timestamps(feed.updated_at[lo:hi]),
    ]
    return separated(columns, LAYOUTS["customers"].delimiter)


def render_consents(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the decisions."""
    feed = world.consent_feed
    columns = [
        account_ids(world.accounts, feed.account[lo:hi]),
        words(CONSENT_TYPES, feed.kind[lo:hi]),
        booleans(feed.granted[lo:hi]),
        timestamps(feed.at[lo:hi]),
    ]
    return separated(columns, LAYOUTS["consents"].delimiter)
