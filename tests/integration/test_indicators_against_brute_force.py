"""Pareto, life stages and funnel against a plain recomputation of every month end, from the orders, accounts and visits themselves."""

import datetime as dt
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.support.models import build_models

PROJECT = Path(__file__).parents[2] / "dbt_project"
MODELS = (
    "lifecycle_transitions",
    "int_customer_activity_monthly",
    "int_customer_value_states",
    "int_first_month",
    "pareto_monthly",
    "customer_lifecycle_monthly",
    "funnel_monthly",
)
FIRST_DAY, AS_OF = dt.date(2021, 3, 5), dt.date(2024, 8, 15)
CHANNELS = {"web": "ecommerce", "store": "store", "dist": "distributor", "odd": None}


@dataclass(frozen=True)
class Order:
    order_id: str
    customer_id: str | None
    channel_id: str
    date: dt.date
    net: Decimal
    is_kept: bool


@dataclass(frozen=True)
class Person:
    """What is known of a customer besides orders; a guest has no account."""

    customer_id: str
    created_on: dt.date | None
    first_seen: dt.date | None
    # member from the first day on, no longer from the second on
    member: tuple[dt.date, dt.date] | None
    visits: tuple[dt.date, ...]


@dataclass(frozen=True)
class World:
    orders: list[Order]
    people: dict[str, Person]
    unknown: list[tuple[str, dt.date]]


def random_world(seed: int) -> World:
    rng = random.Random(seed)
    span = (AS_OF - FIRST_DAY).days

    def day(chance: float = 1.0) -> dt.date:
        return FIRST_DAY + dt.timedelta(days=int(span * chance * rng.random()))

    people = {}
    for number in range(70):
        account = rng.random() < 0.7
        member_from = day()
        people[f"c{number}"] = Person(
            f"c{number}",
            day() - dt.timedelta(days=200) if account and rng.random() < 0.7 else None,
            day() if account else None,
            (member_from, member_from + dt.timedelta(days=rng.choice((40, 4000))))
            if account and rng.random() < 0.5
            else None,
            tuple(day() for _ in range(rng.choice((0, 0, 1, 3)))),
        )
    orders = []
    for number in range(520):
        customer = f"c{int(60 * rng.random() ** 1.7)}" if rng.random() < 0.95 else None
        # few prices: many equal customers; an order that costs money is one too
        net = rng.choice(
            [Decimal("10.00"), Decimal("10.00"), Decimal("20.00"), Decimal("33.33"), Decimal("-5.00"), Decimal(0)]
        )
        orders.append(Order(f"o{number:03}", customer, rng.choice([*CHANNELS, "web"]), day(), net, rng.random() < 0.92))
    unknown = [(f"v{rng.randrange(40)}", day()) for _ in range(150)]
    return World(sorted(orders, key=lambda order: (order.date, order.order_id)), people, unknown)


def month_end(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def month_ends(first: dt.date) -> Iterator[dt.date]:
    day = month_end(first)
    while day <= AS_OF:
        yield day
        day = month_end(day + dt.timedelta(days=1))


def months(earlier: dt.date, later: dt.date) -> int:
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def plus_a_year(day: dt.date) -> dt.date:
    return day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else dt.date(day.year + 1, 2, 28)


def kept(world: World, channel: str | None) -> dict[str, list[Order]]:
    by_customer: dict[str, list[Order]] = defaultdict(list)
    for order in world.orders:
        if order.is_kept and order.customer_id and channel in (None, order.channel_id):
            by_customer[order.customer_id].append(order)
    return by_customer


def values_on(by_customer: dict[str, list[Order]], day: dt.date) -> dict[str, Decimal]:
    """Net value of the 12 months ending with a month end, of the customers with an order in them."""
    inside = {c: [o for o in orders if 0 <= months(o.date, day) < 12] for c, orders in by_customer.items()}
    return {c: sum((o.net for o in orders), Decimal(0)) for c, orders in inside.items() if orders}


def best(values: dict[str, Decimal]) -> set[str]:
    """The best fifth, with those who equal the last of them; who is worth nothing is not among them."""
    bound = sorted(values.values(), reverse=True)[math.ceil(len(values) / 5) - 1]
    return {customer for customer, value in values.items() if value >= max(bound, Decimal("0.01"))}


def expected_pareto(world: World) -> dict[tuple[dt.date, str | None], tuple]:
    rows = {}
    for channel in (None, *CHANNELS):
        by_customer = kept(world, channel)
        before: dict[dt.date, set[str]] = {}
        for day in month_ends(FIRST_DAY):
            values = values_on(by_customer, day)
            if not values:
                continue
            ordered = sorted(values.values(), reverse=True)
            total, n = sum(ordered), len(ordered)
            before[day] = best(values)
            year_ago = before.get(month_end(day.replace(year=day.year - 1, day=1)))
            shares: list[float | None] = [None] * 6
            if total > 0:
                count = next(k for k in range(1, n + 1) if 5 * sum(ordered[:k]) >= 4 * total)
                tops = [float(sum(ordered[: math.ceil(n * p / 100)]) / total) for p in (1, 5, 10, 20)]
                gini = float(sum(abs(a - b) for a in ordered for b in ordered) / (2 * n * total))
                shares = [count / n, *tops, gini]
            retained = len(before[day] & year_ago) / len(year_ago) if year_ago else None
            rows[day, channel] = (n, total, *shares, retained)
    return rows


def stage_on(person: Person, orders: list[Order], day: dt.date) -> str | None:
    so_far = [order for order in orders if order.date <= day]
    if not so_far:
        contact = [d for d in (person.created_on, person.first_seen) if d]
        if person.member:
            contact.append(person.member[0])
        if person.member and month_end(person.member[0]) <= day < person.member[1]:
            return "member"
        if contact and min(contact) <= day:
            return "prospect"
        return "visitor" if any(visit <= day for visit in person.visits) else None
    silence = months(so_far[-1].date, day)
    if silence >= 24:
        return "lost"
    if silence >= 12:
        return "lapsed"
    if silence >= 6:
        return "at_risk"
    if months(so_far[0].date, day) < 3:
        return "new_customer"
    comebacks = [b.date for a, b in itertools.pairwise(so_far) if b.date > plus_a_year(a.date)]
    if comebacks and months(comebacks[-1], day) < 3:
        return "reactivated"
    now = sum((o.net for o in so_far if months(o.date, day) < 12), Decimal(0))
    earlier = sum((o.net for o in so_far if 12 <= months(o.date, day) < 24), Decimal(0))
    return "growing" if earlier > 0 and now * 100 >= earlier * 120 else "active"


def expected_lifecycle(world: World) -> dict[tuple[str, dt.date], tuple]:
    orders = kept(world, None)
    first = min([o.date for found in orders.values() for o in found] + all_visits(world))
    rows = {}
    for customer, person in world.people.items():
        previous = None
        for day in month_ends(first):
            stage = stage_on(person, orders[customer], day)
            if stage is None:
                continue
            so_far = [o for o in orders[customer] if o.date <= day]
            by_distributors = bool(so_far) and all(CHANNELS[o.channel_id] == "distributor" for o in so_far)
            rows[customer, day] = (stage, previous, by_distributors)
            previous = stage
    return rows


def all_visits(world: World) -> list[dt.date]:
    return [day for _, day in world.unknown] + [day for person in world.people.values() for day in person.visits]


def expected_funnel(world: World) -> dict[tuple[dt.date, str | None, str | None], tuple[int, int, int]]:
    moves: dict[tuple[dt.date, str | None, str | None], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (_, day), (stage, previous, by_distributors) in expected_lifecycle(world).items():
        moves[day, previous, stage][0] += 1
        moves[day, previous, stage][2] += by_distributors
    there: dict[dt.date, set[str]] = defaultdict(set)
    for visitor, day in world.unknown:
        there[month_end(day)].add(visitor)
    for day in month_ends(FIRST_DAY):
        before, now = there[day.replace(day=1) - dt.timedelta(days=1)], there[day]
        for visitors, move in (
            (now & before, ("visitor", "visitor")),
            (now - before, (None, "visitor")),
            (before - now, ("visitor", None)),
        ):
            if visitors:
                moves[day, *move][0] += len(visitors)
                moves[day, *move][1] += len(visitors)
    return {key: (people, unknown, distributors) for key, (people, unknown, distributors) in moves.items()}


def write_facts(folder: Path, world: World) -> None:
    placed: Counter[str | None] = Counter()
    last: dict[str | None, dt.date] = {}
    rows = []
    for order in world.orders:
        number = since = None
        if order.is_kept and order.customer_id:
            placed[order.customer_id] += 1
            number = placed[order.customer_id]
            since = (order.date - last[order.customer_id]).days if number > 1 else None
            last[order.customer_id] = order.date
        rows.append(
            (
                order.order_id,
                order.customer_id,
                order.channel_id,
                order.date,
                order.date,
                order.net,
                order.is_kept,
                number,
                since,
            )
        )
    people = world.people.values()
    beginning, end = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
    versions = []
    for person in people:
        until = min(person.member[1], end) if person.member else end
        since = person.member[0] if person.member else None
        versions.append((person.customer_id, beginning, until, person.member is not None, since))
        if until < end:
            versions.append((person.customer_id, until, end, False, since))
    accounts = [(p.customer_id, f"a{p.customer_id}", p.first_seen) for p in people if p.first_seen]
    sessions = [(f"known-{p.customer_id}", p.customer_id, day) for p in people for day in p.visits]
    sessions += [(visitor, None, day) for visitor, day in world.unknown]
    for name in ("warehouse", "datamart", "personal"):
        duckdb.connect(folder / f"{name}.duckdb").close()
    with duckdb.connect(folder / "datamart.duckdb") as con:
        con.execute("""
            create schema mart;
            create table mart.fct_orders (
                order_id varchar, customer_id varchar, channel_id varchar, order_date date, ordered_at timestamp,
                net_amount decimal(18, 2), is_kept boolean, order_number bigint, days_since_previous_order bigint,
                margin_amount decimal(18, 2)
            );
            create table mart.dim_channel (channel_id varchar, channel_type varchar);
            create table mart.dim_customer (
                customer_id varchar, valid_from date, valid_to date, is_member boolean, member_since date
            );
            create table mart.fct_web_sessions (visitor_id varchar, customer_id varchar, session_date date, is_bot boolean);
        """)
        con.executemany("insert into mart.fct_orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, null)", rows)
        con.executemany("insert into mart.dim_channel values (?, ?)", list(CHANNELS.items()))
        con.executemany("insert into mart.dim_customer values (?, ?, ?, ?, ?)", versions)
        con.executemany("insert into mart.fct_web_sessions values (?, ?, ?, false)", sessions)
    with duckdb.connect(folder / "warehouse.duckdb") as con:
        con.execute("""
            create schema control; create schema intermediate; create schema staging;
            create table control.run_parameters (as_of_date date);
            create table intermediate.int_customer_identity (
                customer_id varchar, source_customer_id varchar, first_seen_date date
            );
            create table staging.stg_crm__customers (customer_id varchar, created_on date);
        """)
        con.execute("insert into control.run_parameters values (?)", [AS_OF])
        con.executemany("insert into intermediate.int_customer_identity values (?, ?, ?)", accounts)
        con.executemany(
            "insert into staging.stg_crm__customers values (?, ?)",
            [(f"a{p.customer_id}", p.created_on) for p in people if p.first_seen],
        )


def test_every_figure_of_every_month_end_equals_its_recomputation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = random_world(3)
    write_facts(tmp_path, world)
    monkeypatch.setenv("FIDELIS_WAREHOUSE_DIR", str(tmp_path))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    build_models(PROJECT, tmp_path, MODELS)

    with duckdb.connect(tmp_path / "datamart.duckdb", read_only=True) as con:
        pareto = con.sql("""
            select snapshot_date, channel_id, customers, net_amount, share_of_customers_for_80pct, share_top_1pct, share_top_5pct,
                share_top_10pct, share_top_20pct, gini, top_20pct_retained_share from mart.pareto_monthly
        """).fetchall()
        lifecycle = con.sql("from mart.customer_lifecycle_monthly").fetchall()
        funnel = con.sql("""
            select snapshot_date, stage, next_stage, people, unknown_visitors, distributor_only_customers, opening_people,
                conversion_rate, direction from mart.funnel_monthly
        """).fetchall()

    expected = expected_pareto(world)
    assert len(pareto) == len(expected)
    for day, channel, *figures in pareto:
        assert figures == [
            value if value is None or isinstance(value, Decimal) else pytest.approx(value, abs=1e-12)
            for value in expected[day, channel]
        ], (day, channel)
    assert any(row[4] is None for row in pareto)
    assert any(0 < (row[10] or 0) < 1 for row in pareto)

    stages = expected_lifecycle(world)
    assert len(lifecycle) == len(stages)
    assert {(customer, day): tuple(figures) for customer, day, *figures in lifecycle} == stages
    assert len({stage for stage, _, _ in stages.values()}) == 10
    assert any(by_distributors for _, _, by_distributors in stages.values())

    moves = expected_funnel(world)
    assert {(day, stage, following): tuple(figures[:3]) for day, stage, following, *figures in funnel} == moves
    opening: Counter[tuple[dt.date, str | None]] = Counter()
    for (day, stage, _), (people, _, _) in moves.items():
        opening[day, stage] += people
    for day, stage, following, people, _, _, opened, rate, direction in funnel:
        assert opened == (opening[day, stage] if stage else None)
        assert rate == (people / opened if stage else None)
        assert direction is not None, (day, stage, following)
