"""Persons who share what most have alone: a family's e-mail address, twins' birthday and home, a device.

Two records of a household look like one person in all but the first name. `truth/households.csv` says who they are.
"""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.sample import names
from orchestration.sample.draws import Bools, Draws, Ints
from orchestration.sample.people import Persons

FAMILY, TWINS = 0, 1
KINDS = ("family_email", "twins")
_FAMILIES, _TWINS, _ONE_DEVICE = 0.03, 0.01, 0.5


@dataclass(frozen=True)
class Households:
    """Two persons each, the first and the one after."""

    first: Ints
    kind: Ints
    share_device: Bools

    @property
    def devices(self) -> Ints:
        """Visitors that are both persons'."""
        return self.first[self.share_device] * 2


def form_households(draws: Draws, persons: Persons) -> tuple[Persons, Households]:
    """Let some neighbours share a home and a family name, and an e-mail address or a birthday; some of them a device."""
    pairs = len(persons.country) // 2
    first = 2 * np.arange(pairs)
    chosen = draws.uniform(pairs)
    one_device = draws.chance(_ONE_DEVICE, pairs)
    here = (chosen < _FAMILIES + _TWINS) & persons.has_account[first] & persons.has_account[first + 1]
    first, twins, one_device = first[here], chosen[here] < _TWINS, one_device[here]
    second = first + 1

    def joined(values: Ints, among: Bools | None = None) -> Ints:
        result = values.copy()
        where = second if among is None else second[among]
        result[where] = values[where - 1]
        return result

    country = joined(persons.country)
    moved = country[second] != persons.country[second]
    phone = persons.phone.copy()
    # a number is of one country
    phone[second[moved]] = -1
    phone[second[twins]] = phone[first[twins]]
    same = (persons.first[first] == persons.first[second]) & (persons.female[first] == persons.female[second])
    given = persons.first.copy()
    given[second[same]] = (given[second[same]] + 7) % len(names.MALE)
    shared = replace(
        persons,
        country=country,
        first=given,
        last=joined(persons.last),
        phone=phone,
        birth=joined(persons.birth, twins),
        address=joined(persons.address),
        moves=joined(persons.moves),
        home=np.where(np.isin(np.arange(len(country)), second[moved]), joined(persons.home), persons.home),
        mailbox=joined(persons.mailbox, ~twins),
        device=joined(persons.device, one_device),
    )
    return shared, Households(first, np.where(twins, TWINS, FAMILY), one_device)
