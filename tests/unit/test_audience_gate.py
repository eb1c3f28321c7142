"""The gate of audiences, against its rules written a second time, person by person."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from orchestration.activation import export
from orchestration.activation.gate import judge
from orchestration.incrementality import held_out_sql, is_held_out
from orchestration.settings import Settings
from tests.support.audiences import (
    AS_OF,
    MEDIA,
    Message,
    Person,
    assign_in,
    audience_in,
    erase_in,
    fill,
    mart_in,
    members,
    release_of,
)
from tests.support.world import settings_in

#: an example takes a tenth of a second, two nights in files half a one
EXAMPLES = examples().max_examples
#: two have one address, however it is spelt; some have none
SHARED = (" Shared@Example.com", "shared@example.com")
DAYS = st.dates(AS_OF - timedelta(days=20), AS_OF)
KINDS = st.sampled_from(["complained", "bounced", "unsubscribed", "opened"])
MESSAGES = st.builds(
    Message,
    campaign=st.sampled_from(["SPRING", "AUTUMN"]),
    medium=st.sampled_from(["email", "sms", None]),
    sent=DAYS,
    is_control=st.sampled_from([False, False, True]),
    reactions=st.lists(st.tuples(KINDS, st.sampled_from([None, "hard", "soft"]), DAYS), max_size=1).map(tuple),
)


@dataclass(frozen=True)
class World:
    """People, the campaign's draw, who asked to be erased (customers or accounts), and the holdout's share."""

    people: list[Person]
    drawn: dict[str, str] | None
    erased: tuple[str, ...]
    holdout_share: float


@st.composite
def worlds(draw: Any) -> World:
    ids = [f"C{i}" for i in range(1, 9)]
    people = [
        Person(
            i,
            email=draw(
                st.sampled_from(
                    [
                        f"{i}@example.com",
                        f"{i}@example.com",
                        " Shared@Example.com",
                        "shared@example.com",
                        "no address",
                        None,
                    ]
                )
            ),
            consents=frozenset(draw(st.sampled_from([MEDIA, MEDIA, ("email",), ("profiling", "sms"), ()]))),
            since=draw(st.none() | DAYS),
            segment=draw(st.sampled_from(["champion", "champion", "lost"])),
            messages=tuple(draw(st.lists(MESSAGES, max_size=2))),
            was=tuple(draw(st.lists(st.sampled_from(["OLD1", "OLD2"]), max_size=1))),
        )
        for i in ids
    ]
    groups = st.sampled_from(["treated", "treated", "control", "holdout"])
    drawn = draw(st.none() | st.dictionaries(st.sampled_from([*ids, "OLD1"]), groups))
    erased = tuple(draw(st.lists(st.sampled_from([*ids, "A-C2", "OLD2", "nobody"]), max_size=2)))
    return World(people, drawn, erased, draw(st.sampled_from([0.0, 0.0, 0.3])))


def allowed_by_rules(world: World, settings: Settings, purpose: str, cap: int) -> dict[str, str]:
    """Who may be in a file by e-mail, and their address."""

    def barred(p: Person) -> bool:
        needed = {"email"} | ({"profiling"} if purpose == "profiling" else set())
        if not needed <= p.consents or {p.id, p.account, *p.was} & set(world.erased):
            return True
        # consent began when the state before lacked one of them; before `since` all were the other way round
        began = p.since if p.since is not None else date(1900, 1, 1)
        sent = 0
        for m in p.messages:
            by_email = m.medium in ("email", None)
            sent += by_email and not m.is_control and m.sent > AS_OF - timedelta(days=7)
            for kind, bounce, day in m.reactions:
                if kind == "complained" or (kind == "bounced" and by_email and bounce != "soft"):
                    return True
                if kind == "unsubscribed" and by_email and day >= began:
                    return True
            if m.is_control and m.campaign == "SPRING":
                return True
        groups = {(world.drawn or {}).get(known) for known in (p.id, *p.was)}
        held = is_held_out(p.id, settings.control_salt, settings.holdout_share)
        return sent >= cap or held or bool(groups & {"control", "holdout"})

    def address(p: Person) -> str | None:
        return p.email.strip().lower() if p.email and "@" in p.email else None

    not_to_be_used = Counter(address(p) for p in world.people if barred(p))
    found: dict[str, str] = {}
    for p in sorted(world.people, key=lambda p: p.id):
        mail = address(p)
        drawn_in = world.drawn is None or any(known in world.drawn for known in (p.id, *p.was))
        if (
            p.segment == "champion"
            and not barred(p)
            and drawn_in
            and mail
            and not not_to_be_used[mail]
            and mail not in found.values()
        ):
            found[p.id] = mail
    return found


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    with mart_in(None) as con:
        con.execute("create table chosen (customer_id varchar)")
        yield tmp_path_factory.mktemp("gate"), con


def told(settings: Settings, world: World) -> None:
    """Put the lists that a person keeps where the gate looks for them."""
    (settings.assignments_dir / "SPRING.csv").unlink(missing_ok=True)
    if world.drawn is not None:
        assign_in(settings, "SPRING", world.drawn)
    erase_in(settings, *world.erased)


@examples(max_examples=EXAMPLES // 2)
@given(world=worlds(), purpose=st.sampled_from(["marketing", "profiling"]))
def test_nobody_gets_past_the_gate_and_everybody_else_passes(
    shelf: tuple[Path, duckdb.DuckDBPyConnection], world: World, purpose: str
) -> None:
    folder, con = shelf
    settings = settings_in(folder, holdout_share=world.holdout_share)
    told(settings, world)
    fill(con, world.people)
    con.execute("delete from chosen")
    con.execute("insert into chosen select customer_id from mart.customer_rfm where segment = 'champion'")
    audience = audience_in(folder, purpose=purpose, frequency_cap={"messages": 1, "days": 7})
    first, each = judge(settings, con, audience, AS_OF)
    passed = con.execute(
        "select customer_id, email from contacts semi join (from judged where reason is null) using (customer_id)"
    )
    expected = allowed_by_rules(world, settings, purpose, 1)
    assert dict(passed.fetchall()) == expected
    assert sum(p.segment == "champion" for p in world.people) == len(expected) + sum(first.values())
    assert all(each[reason] >= number for reason, number in first.items())


@pytest.mark.slow
@given(nights=st.lists(worlds(), min_size=2, max_size=2))
@examples(max_examples=EXAMPLES // 8)
def test_no_file_holds_anybody_refused_and_a_difference_leads_to_the_full_set(
    tmp_path_factory: pytest.TempPathFactory, nights: list[World]
) -> None:
    folder = tmp_path_factory.mktemp("nights")
    audience, held = audience_in(folder, columns=["value_12m_net"], frequency_cap={"messages": 1, "days": 7}), {}
    for night, world in enumerate(nights):
        settings = settings_in(folder, holdout_share=world.holdout_share)
        told(settings, world)
        done = export(settings, audience, release_of(folder / "r", world.people, AS_OF, night))
        full, added, removed, changed = (members(done.folder, kind) for kind in ("full", "added", "removed", "changed"))
        assert {row[0]: row[2] for row in full} == allowed_by_rules(world, settings, "marketing", 1)
        assert {row[0] for row in removed}.isdisjoint(row[0] for row in full)
        if done.is_new:
            for row in removed:
                assert held.pop(row[0])[:3] == row
            for row in changed:
                assert held[row[0]] != row
            held |= {row[0]: row for row in (*changed, *added)}
        assert held == {row[0]: row for row in full}
        assert not export(settings, audience, release_of(folder / "r", world.people, AS_OF, 9)).is_new


@given(
    ids=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=50),
    salt=st.text(max_size=5).filter(lambda s: "\0" not in s),
    share=st.sampled_from([0.0, 0.05, 0.5, 0.99]),
)
@examples(max_examples=EXAMPLES // 4)
def test_the_holdout_in_sql_is_the_one_of_the_draw(ids: list[str], salt: str, share: float) -> None:
    ids = [i.replace("\0", "") for i in ids]
    with duckdb.connect() as con:
        found = con.execute(
            f"select {held_out_sql('id', salt, share)} from (select unnest($1) as id)", [ids]
        ).fetchall()
    assert [bool(held) for (held,) in found] == [is_held_out(i, salt, share) for i in ids]
