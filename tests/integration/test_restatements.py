"""Causes of restatements, by the project's own models, over random pairs of releases and over ones worked out by hand."""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration import dbt_runner
from orchestration.restatements.compare import FIGURES
from orchestration.settings import Settings
from tests.support.restatements import LATER, MODELS, Effects, World, changes, restate


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The SQL of the models between staging and the indicators, as a whole build sends it."""
    made = Settings(_env_file=None, home=tmp_path_factory.mktemp("home"), threads=1)
    with pytest.MonkeyPatch.context() as patch:
        made.warehouse_dir.mkdir(parents=True)
        patch.setenv("FIDELIS_WAREHOUSE_DIR", str(made.warehouse_dir))
        options = ["--full-refresh", "--no-introspect", "--no-populate-cache", "--select", *MODELS]
        done = dbt_runner._invoke(
            ["--log-level", "none", "--log-level-file", "none", "compile", *dbt_runner.arguments(made), *options]
        )
    return {r.node.name: r.node.compiled_code for r in done.result.results if r.node.name in MODELS}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        made.execute("set TimeZone = 'UTC'")
        yield made


def snapshot(found: Effects, month: str) -> dict[str, dict[str, Decimal]]:
    """Effects by total and cause on the RFM snapshot at the end of a month."""
    return {
        metric: {cause: effect.normalize() for cause, effect in effects.items()}
        for (table, start, _, metric), effects in found.items()
        if table == "customer_rfm_monthly" and start == f"{month}-01"
    }


def jan(found: Effects, metric: str) -> dict[str, Decimal]:
    return {cause: effect.normalize() for cause, effect in found[("kpi_monthly", "2024-01-01", None, metric)].items()}


@pytest.fixture
def january() -> World:
    """Three customers' orders of January, and one of last year."""
    return (
        World(people={"a": "A", "b": "B", "c": "C"})
        .with_order("o0", "2023-06-01", "a", {"p0": ("1", "10")})
        .with_order("o1", "2024-01-03", "a", {"p0": ("2", "50")})
        .with_order("o2", "2024-01-04", "b", {"p0": ("1", "30"), "p1": ("1", "20")})
        .with_order("o3", "2024-01-05", "c", {"p1": ("4", "25")}, currency="USD")
    )


def test_a_return_posted_in_march_lowers_january_and_says_so(con, models, january: World) -> None:
    found = restate(con, models, january, january.with_return("r1", "o1-p0", "2024-03-15", "1", "50"))
    assert jan(found, "net_amount") == {"return": Decimal(-50)}
    assert jan(found, "margin_amount") == {"return": Decimal("-45.9")}  # the goods are back at their cost of 4.10
    assert jan(found, "average_basket") == {"return": Decimal("-16.67")}  # 240 / 3 = 80.00, 190 / 3 = 63.33
    assert {key[3] for key in found} == {
        "net_amount", "identified_net_amount", "margin_amount", "average_basket"
    }  # fmt: skip
    assert {key[:2] for key in found} == {
        ("kpi_monthly", "2024-01-01")
    }  # the half year is not over: nothing was restated


def test_two_causes_at_once_are_split_exactly(con, models, january: World) -> None:
    after = january.with_return("r1", "o2-p0", "2024-03-15", "1", "29.99").with_order(
        "late", "2024-01-31", "a", {"p1": ("1", "70.50")}
    )
    found = restate(con, models, january, after)
    assert jan(found, "net_amount") == {"late_order": Decimal("70.5"), "return": Decimal("-29.99")}
    assert jan(found, "orders") == {"late_order": Decimal(1)}
    assert ("kpi_monthly", "2024-01-01", None, "returning_customers") not in found  # a bought before this anyway


def test_causes_on_one_order_are_split_exactly(con, models, january: World) -> None:
    """Another rate and a return on the same order: 100 USD at 0.9, then at 0.8 with 25 USD back."""
    after = replace(january, rates={**january.rates, "USD": Decimal("0.8")}).with_return(
        "r1", "o3-p1", "2024-03-15", "1", "25"
    )
    assert jan(restate(con, models, january, after), "net_amount") == {
        "fx_correction": Decimal(-10),
        "return": Decimal(-20),
    }


def test_a_return_of_everything_takes_the_order_with_it(con, models, january: World) -> None:
    found = restate(con, models, january, january.with_return("r1", "o1-p0", "2024-03-15", "2", "100"))
    assert jan(found, "net_amount") == {"return": Decimal(-100)}
    assert jan(found, "orders") == {"return": Decimal(-1)}
    assert jan(found, "active_customers") == {"return": Decimal(-1)}
    assert jan(found, "returning_customers") == {"return": Decimal(-1)}


def test_a_cancellation_is_told_from_a_correction(con, models, january: World) -> None:
    after = january.with_values("o1", is_cancelled=True).with_values("o2", channel="web")
    found = restate(con, models, january, after)
    assert jan(found, "net_amount") == {"cancellation": Decimal(-100)}
    assert {k: {c: e.normalize() for c, e in v.items()} for k, v in found.items() if k[2] and k[3] == "net_amount"} == {
        ("kpi_monthly", "2024-01-01", "shop", "net_amount"): {"other": Decimal(-50), "cancellation": Decimal(-100)},
        ("kpi_monthly", "2024-01-01", "web", "net_amount"): {"other": Decimal(50)},
    }


def test_a_merge_and_a_split_at_once_are_told_apart(con, models, january: World) -> None:
    """b turns out to be c, and one of a's two orders of last year is another person's."""
    before = january.with_order("o4", "2023-07-01", "a2", {"p0": ("1", "10")})
    before = replace(before, people={**january.people, "a2": "A"})
    after = replace(before, people={"a": "A", "a2": "Z", "b": "B", "c": "B"})
    found = restate(con, models, before, after)
    assert jan(found, "active_customers") == {"identity_merge": Decimal(-1)}
    # one more and one less: four customers known before and after, nothing was restated
    assert ("kpi_monthly", "2024-01-01", None, "known_customers") not in found
    assert found[("kpi_half_yearly", "2023-07-01", None, "known_customers")] == {"identity_split": Decimal(1)}


def test_an_order_given_to_another_account_is_a_correction_and_no_identity(con, models, january: World) -> None:
    found = restate(con, models, january, january.with_values("o2", account="c"))
    assert jan(found, "active_customers") == {"other": Decimal(-1)}


def test_a_snapshot_is_corrected_by_what_had_happened_before_it_and_by_nothing_later(
    con, models, january: World
) -> None:
    """A return of February that was delivered in March, one of March, a late order, and an order cancelled in February."""
    after = (
        january.with_return("r1", "o2-p0", "2024-02-10", "1", "29.99")
        .with_return("r2", "o3-p1", "2024-03-15", "1", "25")
        .with_order("late", "2024-01-31", "a", {"p1": ("1", "70.50")})
        .with_values("o1", is_cancelled=True, cancelled=dt.date(2024, 2, 20))
    )
    found = restate(con, models, january, after)
    late = {"frequency": {"late_order": Decimal(1)}, "recency_days": {"late_order": Decimal(-28)}}
    assert snapshot(found, "2023-12") == {}
    assert snapshot(found, "2024-01") == {"monetary": {"late_order": Decimal("70.5")}, **late}
    # a's last order is the late one, cancelled or not
    assert snapshot(found, "2024-02") == {
        "monetary": {"late_order": Decimal("70.5"), "return": Decimal("-29.99"), "cancellation": Decimal(-100)},
        "recency_days": late["recency_days"],
    }
    assert "frequency" not in snapshot(found, "2024-02")  # one more, and one less


def test_a_snapshot_of_two_who_are_one_has_one_customer_less(con, models, january: World) -> None:
    found = restate(con, models, january, replace(january, people={"a": "A", "b": "B", "c": "B"}))
    # the last order is c's of the fifth; b's of the fourth is no longer anybody's last
    days = {"2024-01": -27, "2024-02": -56}
    assert {month: snapshot(found, month) for month in days} == {
        month: {
            "customers": {"identity_merge": Decimal(-1)},
            "recency_days": {"identity_merge": Decimal(less).normalize()},
        }
        for month, less in days.items()
    }


def test_other_rules_are_the_cause_of_what_no_delivery_explains(con, models, january: World) -> None:
    after = january.with_values("o1", channel="web").with_order(
        "late", "2024-01-31", "a", {"p1": ("1", "70")}, delivered=LATER
    )
    after = replace(
        after, lines={k: {**v, "price": v["price"] + 1} if k == "o2-p1" else v for k, v in after.lines.items()}
    )
    found = restate(con, models, january, after, rules_changed=True, delivered=(("orders", LATER),))
    assert jan(found, "net_amount") == {"rule_change": Decimal(1), "late_order": Decimal(70)}


def with_random_return(rng: random.Random, world: World, number: int) -> World:
    day = dt.date(2023, 6, 1) + dt.timedelta(days=rng.randrange(292))
    return world.with_return(
        f"back{number}", rng.choice(list(world.lines)), str(day), rng.choice("12"), rng.choice(("5", "9.99"))
    )


def without_random_order(rng: random.Random, world: World, _: int) -> World:
    gone = rng.choice(list(world.orders))
    orders = {key: order for key, order in world.orders.items() if key != gone}
    return replace(
        world, orders=orders, lines={key: line for key, line in world.lines.items() if line["order"] != gone}
    )


def with_another_line(rng: random.Random, world: World, _: int) -> World:
    key = rng.choice(list(world.lines))
    line = {**world.lines[key], "quantity": Decimal(rng.randint(1, 3)), "price": Decimal("12.5")}
    return replace(world, lines={**world.lines, key: line})


def with_another_header(rng: random.Random, world: World, _: int) -> World:
    return world.with_values(
        rng.choice(list(world.orders)),
        channel=rng.choice(("shop", "web")),
        account=rng.choice((*world.people, None)),
        at=random_moment(rng),
        is_test=rng.random() < 0.3,
    )


def with_another_person(rng: random.Random, world: World, _: int) -> World:
    person = rng.choice([*world.people.values(), "Z"])
    return replace(world, people={**world.people, rng.choice(list(world.people)): person})


MUTATIONS: dict[str, Callable[[random.Random, World, int], World]] = {
    "late_order": lambda rng, world, number: random_order(rng, world, f"late{number}"),
    "return": with_random_return,
    "cancellation": lambda rng, world, _: world.with_values(
        rng.choice(list(world.orders)), is_cancelled=True, cancelled=random_moment(rng).date()
    ),
    "fx_correction": lambda rng, world, _: replace(
        world, rates={**world.rates, "USD": Decimal(rng.choice(("0.8", "0.913", "1.1")))}
    ),
    "identity": with_another_person,
    "removal": without_random_order,
    "lines": with_another_line,
    "header": with_another_header,
    "cost": lambda _, world, __: replace(world, costs={**world.costs, "p0": Decimal("5.55")}),
    "visits": lambda rng, world, _: replace(world, sessions=world.sessions + rng.randint(1, 3)),
}
#: Causes that each mutation may bring.
MAY_BRING = {
    "identity": {"identity_merge", "identity_split"}, "removal": {"other"}, "lines": {"other"}, "header": {"other"}, "cost": {"other"},
    "visits": {"other"},
}  # fmt: skip


def random_moment(rng: random.Random) -> dt.datetime:
    return dt.datetime(2023, 1, 1, 12) + dt.timedelta(days=rng.randrange(430))


def random_order(rng: random.Random, world: World, key: str) -> World:
    lines = {
        product: (str(rng.randint(0, 2)), rng.choice(("10", "19.99", "33.33")))
        for product in rng.sample(("p0", "p1", "p2"), rng.randint(1, 2))
    }
    moment = random_moment(rng)
    where = {"channel": rng.choice(("shop", "web")), "currency": rng.choice(("EUR", "USD"))}
    return world.with_order(key, str(moment.date()), rng.choice((*world.people, None)), lines, **where)


@given(seed=st.integers(0, 10**6), kinds=st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=6))
@settings(max_examples=12)
def test_causes_sum_to_the_change_and_leave_nothing_unexplained(
    models: dict[str, str], seed: int, kinds: list[str]
) -> None:
    rng = random.Random(seed)
    before = World(people={f"a{i}": f"C{rng.randrange(6)}" for i in range(8)})
    for i in range(30):
        before = random_order(rng, before, f"o{i}")
    for i in range(6):
        before = MUTATIONS["return"](rng, before, 100 + i)
    after = before
    for i, kind in enumerate(kinds):
        after = MUTATIONS[kind](rng, after, i)
    with duckdb.connect(config={"threads": 1}) as con:
        found = restate(con, models, before, after)
        changed = changes(con)
        assert {key: sum(effects.values()) for key, effects in found.items()} == changed
        assert {(table, metric) for table, *_, metric in changed} <= {
            (t, m) for t, names in FIGURES.items() for m in names
        }
        # the steps end at today's figures by themselves: nothing was left over to be booked as `other`
        left = con.execute(
            "select c.*, f.value from changed as c join figure_step as f on c.table_name = f.table_name "
            "and c.period_start = f.period_start and c.metric = f.metric and c.channel_id is not distinct from f.channel_id "
            "where f.step = (select max(step) from figure_step) and f.value <> coalesce(c.new_value, 0)"
        ).fetchall()
        assert left == []
    allowed = set().union(*(MAY_BRING.get(kind, {kind}) for kind in kinds))
    assert {cause for effects in found.values() for cause in effects} <= allowed
