"""Nights of the registry: each equals a build from nothing, whatever came, changed, was decided and in which order."""

import contextlib
import random
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration import identity, identity_files
from orchestration.identity import actions, decisions, growing, scoring
from orchestration.identity.ruleset import DEFAULT_RULES
from orchestration.settings import Settings
from tests.support.people import CONTRACTS, DAYS, deliver, event, guest, person
from tests.support.world import settings_in


def published(home: Settings) -> dict[str, list[tuple]]:
    """What a build says of the records now."""
    with duckdb.connect() as con:
        return {
            table: con.execute(f"select * from ({identity_files.relation(home, table)}) order by all").fetchall()
            for table in ("identities", "edges", "review")
        }


Others = tuple[Sequence[Mapping[str, str]], Sequence[Mapping[str, Any]]]


def night(
    home: Settings,
    files: Mapping[date, Sequence[Mapping[str, str]]],
    others: Mapping[date, Others] | None = None,
    **options: bool,
) -> dict[str, list[tuple]]:
    """Deliver the accounts of each day, and guest orders and events, again where the day was delivered before, and build."""
    for day, people in files.items():
        deliver(home, day, people, *(others[day] if others else ()), only=None if others else "customers")
    identity.build(home, CONTRACTS if others else {"customers": CONTRACTS["customers"]}, DAYS[-1], **options)
    return published(home)


def test_a_rare_value_that_grows_frequent_and_thins_out_again_drops_pairs_and_finds_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "RARE", 2)
    home = settings_in(tmp_path)
    # their names are the only blocks that the two share: a street is none without a postal code
    pair = [person(n, FirstName="Hugo", LastName="Valois", Street="5 rue X") for n in "AB"]
    others = [person("C", FirstName="Hugo", LastName="Abel"), person("D", FirstName="Anne", LastName="Valois")]
    rare = night(home, {DAYS[0]: pair})
    assert [(row[1], row[3], row[5]) for row in rare["edges"]] == [("A", "B", "similar")]
    frequent = night(home, {DAYS[1]: others})
    assert frequent["edges"] == []
    assert frequent == night(home, {}, from_nothing=True)
    # the file of the second day is delivered again without the two
    assert night(home, {DAYS[1]: []}) == rare


def test_nothing_is_done_in_a_night_that_brings_nothing_and_a_decision_is_something(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    found = night(home, {DAYS[0]: [person("A", Email="a@example.com"), person("B", Email="b@example.com")]})
    contracts = {"customers": CONTRACTS["customers"]}
    before = identity_files.pointer(home)
    outcome = identity.build(home, contracts, DAYS[-1])
    assert (outcome.is_as_before, outcome.records, outcome.changed_records) == (True, 2, 0)
    assert (identity_files.pointer(home), published(home)) == (before, found)
    actions.merge(home, ["A", "B"], "ann", "one person")
    outcome = identity.build(home, contracts, DAYS[-1])
    assert (outcome.is_as_before, outcome.customers) == (False, 1)


def test_exact_keys_alone_decide_where_nothing_is_to_be_compared(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(DEFAULT_RULES.read_text().replace("compare: true", "compare: false"))
    home = settings_in(tmp_path, identity_rules=rules)
    alike = [person(n, FirstName="Hugo", LastName="Valois", Street="5 rue X") for n in "AB"]
    equal = [person(n, Email="anne@example.com", FirstName="Anne") for n in "CD"]
    found = night(home, {DAYS[0]: [*alike, *equal]})
    assert [(row[1], row[3], row[5]) for row in found["edges"]] == [("C", "D", "same_email")]


ACCOUNTS = "ABCDEFGH"
ROW = st.tuples(
    st.sampled_from(ACCOUNTS),
    st.sampled_from(
        [("Anne", "Roux"), ("Anna", "Roux"), ("Annne", "Valois"), ("", ""), ("Hugo", "Valois"), ("Marc", "Abel")]
    ),
    st.sampled_from(["anne.roux@example.com", "anne.ruox@example.com", "", "hugo.valois7@example.org"]),
    st.sampled_from(["1980-02-03", "1980-03-02", "1980-02-13", ""]),
    st.sampled_from([("5 rue X", "75011"), ("5 rue X", ""), ("", "")]),
)
DECISION = st.one_of(
    st.none(),
    st.tuples(st.just("merge"), st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS)),
    st.tuples(st.just("split"), st.sampled_from(ACCOUNTS)),
    st.just(("undo", "D00001")),
)
GUESTS = st.lists(
    st.tuples(st.sampled_from(["O1", "O2"]), st.sampled_from(["anne.roux@example.com", "new@example.com"])),
    max_size=2,
    unique_by=lambda row: row[0],
)
VISITS = st.lists(st.tuples(st.sampled_from("VW"), st.sampled_from([*ACCOUNTS[:3], None, "O1"])), max_size=3)
NIGHT = st.tuples(
    st.sampled_from(DAYS), st.lists(ROW, max_size=8, unique_by=lambda row: row[0]), DECISION, GUESTS, VISITS
)


def seen_as(number: int, visitor: str, whom: str | None) -> dict[str, Any]:
    """An event of a visitor signed in with an account, or ordering as a guest."""
    if whom and whom.startswith("O"):
        return event(f"{number}", visitor, None) | {"type": "purchase", "order_no": whom}
    return event(f"{number}", visitor, whom)


def decide(home: Settings, decision: tuple[str, ...] | None) -> None:
    """Take a decision where it can be taken now."""
    if decision is None:
        return
    kind, *names = decision
    with contextlib.suppress(identity.DecisionError):
        if kind == "undo":
            actions.undo(home, names[0], "ann", "no")
        else:
            {"merge": actions.merge, "split": actions.split}[kind](home, names, "ann", "seen")


# days in their order, with keys that come again: another address and name, a guest's order that becomes an account's, a visitor of both
IN_ORDER = [
    (day, [(n, name, mail, "1980-02-03", ("5 rue X", "75011")) for n in accounts], None, guests, visits)
    for day, accounts, name, mail, guests, visits in (
        (DAYS[0], "AB", ("Anne", "Roux"), "anne.roux@example.com", [("O1", "new@example.com")], [("V", "A")]),
        (DAYS[1], "BC", ("Hugo", "Valois"), "", [("O1", "anne.roux@example.com")], [("V", "O1"), ("W", "C")]),
        (
            DAYS[2],
            "CD",
            ("Anna", "Roux"),
            "anne.ruox@example.com",
            [("O2", "new@example.com")],
            [("W", "O2"), ("V", None)],
        ),
    )
]


# each example is five builds: ten are a minute of work for `--hypothesis-profile=thorough`, two for every test run
@settings(max_examples=max(2, settings().max_examples // 50))
@example(nights=IN_ORDER, seed=1)
@given(nights=st.lists(NIGHT, min_size=3, max_size=3), seed=st.integers(0, 99))
def test_night_after_night_equals_from_nothing_whatever_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory, nights: list[tuple], seed: int
) -> None:
    """A night delivers a day, the first time or again with other rows: accounts, guests and visitors come, change and go."""
    one, other = (settings_in(tmp_path_factory.mktemp("home")) for _ in range(2))
    files: dict[date, list[dict[str, str]]] = {}
    others: dict[date, tuple[list[dict[str, str]], list[dict[str, Any]]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "RARE", 2)
        # what came since stays apart, or becomes part of the base each night
        patch.setattr(growing, "_RECENT_AT_MOST", 99 if seed % 2 else 0)
        for day, rows, decision, guests, visits in nights:
            files[day] = [
                person(n, FirstName=first, LastName=last, Email=mail, BirthDate=born, Street=street, PostalCode=code)
                for n, (first, last), mail, born, (street, code) in rows
            ]
            others[day] = ([guest(*row) for row in guests], [seen_as(n, *visit) for n, visit in enumerate(visits)])
            night(one, {day: files[day]}, others)
            decide(one, decision)
        found = night(one, {}, others)
        for rows in (*files.values(), *(rows for two in others.values() for rows in two)):
            random.Random(seed).shuffle(rows)
        if decisions.decisions_file(one).exists():
            other.identity_dir.mkdir(parents=True)
            shutil.copy(decisions.decisions_file(one), decisions.decisions_file(other))
        assert found == night(other, files, others)
