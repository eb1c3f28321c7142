"""customer_rfm_monthly against a plain recomputation of every snapshot, in small random worlds full of ties and undone orders.

Once as delivered, once with each option: the window, cut points, markets, split ties, segments by rules.
"""

import csv
import datetime as dt
import json
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from tests.support.models import build_models

PROJECT = Path(__file__).parents[2] / "dbt_project"
MODELS = (
    "rfm_segment_grid",
    "int_undone_orders",
    "int_customer_rfm_states",
    "int_rfm_score_bounds",
    "customer_rfm_monthly",
)
FIRST_DAY = dt.date(2022, 1, 1)
#: within a month: the month end after it is in the new market
MOVED = dt.date(2022, 7, 14)
# customer, snapshot, market, recency, frequency, monetary, R, F, M, code, segment, previous segment
Row = tuple[str, dt.date, str | None, int, int, Decimal, int, int, int, str, str, str | None]
MEASURES = ("recency", "frequency", "monetary")
CUT_POINTS = {
    ("", "recency"): (400, "250.5", 100, 31),
    ("FR", "recency"): (300, 200, 100, 15),
    ("", "frequency"): (2, 3, 4, 6),
    ("", "monetary"): ("10", "33.33", "60", "99.98"),
    ("BE", "monetary"): ("0", "20", "20.01", "50"),
}
RULES = (
    ("champion", 5, 5, 4, 5, 3, 5),
    ("cant_lose", 1, 2, 1, 5, 5, 5),
    ("at_risk", 1, 3, 3, 5, 1, 5),
    ("loyal", 3, 5, 1, 5, 4, 5),
    ("hibernating", 1, 5, 1, 5, 1, 5),
)


@dataclass(frozen=True)
class Options:
    window_months: int = 24
    cut_points: tuple[str, ...] = ()
    split_ties: tuple[str, ...] = ()
    by_market: bool = False
    segments_from: str = "grid"

    def as_vars(self) -> str:
        return json.dumps(
            {
                "rfm_window_months": self.window_months,
                "rfm_cut_points": self.cut_points,
                "rfm_split_ties": self.split_ties,
                "rfm_by_market": self.by_market,
                "rfm_segments_from": self.segments_from,
            }
        )


@dataclass(frozen=True)
class Line:
    quantity: int
    amount: Decimal
    # (day, quantity, amount) of what came back
    returns: tuple[tuple[dt.date, int, Decimal], ...]

    def kept_quantity(self, day: dt.date) -> int:
        return self.quantity - sum(quantity for on, quantity, _ in self.returns if on <= day)

    def net(self, day: dt.date) -> Decimal:
        return self.amount - sum(amount for on, _, amount in self.returns if on <= day)


@dataclass(frozen=True)
class Order:
    order_id: str
    customer_id: str | None
    date: dt.date
    is_test: bool
    cancelled: dt.date | None
    lines: tuple[Line, ...] = field(default_factory=tuple)

    def is_kept(self, day: dt.date) -> bool:
        cancelled = self.cancelled is not None and self.cancelled <= day
        return (
            self.date <= day
            and not self.is_test
            and not cancelled
            and (any(line.kept_quantity(day) > 0 for line in self.lines) or self.nothing_came_back(day))
        )

    def nothing_came_back(self, day: dt.date) -> bool:
        """A line of a coupon or a service has no quantity, and is a purchase all the same."""
        return bool(self.lines) and not any(on <= day for line in self.lines for on, _, _ in line.returns)

    def net(self, day: dt.date) -> Decimal:
        return sum((line.net(day) for line in self.lines), Decimal(0))


def random_line(rng: random.Random, ordered: dt.date, as_of: dt.date) -> Line:
    # few prices and quantities: many equal customers
    quantity = rng.choice([1, 1, 1, 2, 3, 0])
    amount = quantity * rng.choice([Decimal("10.00"), Decimal("10.00"), Decimal("20.00"), Decimal("33.33")])
    returns = []
    left = quantity
    while left and rng.random() < 0.25:
        back = rng.randint(1, left)
        day = ordered + dt.timedelta(days=rng.randint(0, 100))
        if day <= as_of:
            left -= back
            returns.append((day, back, Decimal(back) * Decimal("9.99")))
    return Line(quantity, amount, tuple(returns))


def random_world(seed: int, as_of: dt.date, customers: int = 60, orders: int = 500) -> list[Order]:
    rng = random.Random(seed)
    span = (as_of - FIRST_DAY).days
    world = []
    for number in range(orders):
        # squared: a few customers order often
        customer = f"c{int(customers * rng.random() ** 2)}" if rng.random() < 0.95 else None
        ordered = FIRST_DAY + dt.timedelta(days=rng.randint(0, span))
        if rng.random() < 0.15:
            ordered = month_end(ordered) if month_end(ordered) <= as_of else ordered
        cancelled = ordered + dt.timedelta(days=rng.randint(0, 90)) if rng.random() < 0.12 else None
        lines = tuple(random_line(rng, ordered, as_of) for _ in range(rng.choice([0, 1, 1, 1, 2, 3])))
        is_test = rng.random() < 0.03
        world.append(
            Order(
                f"o{number}", customer, ordered, is_test, cancelled if cancelled and cancelled <= as_of else None, lines
            )
        )
    return world


def month_end(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def months_apart(earlier: dt.date, later: dt.date) -> int:
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def month_ends(as_of: dt.date) -> Iterator[dt.date]:
    day = month_end(FIRST_DAY)
    while day <= as_of:
        yield day
        day = month_end(day + dt.timedelta(days=1))


def account_number(customer: str) -> str:
    """Another order than that of the golden ids."""
    return customer[::-1]


def market_on(customer: str, day: dt.date) -> str:
    """Every third customer moves in the middle of 2022, every fifth has no country."""
    number = int(customer[1:])
    if number % 5 == 0:
        return ""
    return "FR" if (number % 2 == 0) == (number % 3 != 0 or day < MOVED) else "BE"


def score(key: tuple, population: list[tuple]) -> int:
    """1 + floor(5 * percent_rank), at most 5, in fractions."""
    if len(population) == 1:
        return 1
    return min(5, 1 + int(5 * Fraction(sum(other < key for other in population), len(population) - 1)))


def cut_point_score(measure: str, value: int | Decimal, market: str) -> int:
    points = [Decimal(point) for point in CUT_POINTS.get((market, measure), CUT_POINTS["", measure])]
    return 1 + sum(value < point if measure == "recency" else value >= point for point in points)


def expected_rows(world: list[Order], as_of: dt.date, options: Options) -> set[Row]:
    with (PROJECT / "seeds" / "rfm_segment_grid.csv").open() as file:
        grid = {(int(row["r_score"]), int(row["f_score"])): row["segment"] for row in csv.DictReader(file)}
    window = options.window_months
    by_customer: dict[str, list[Order]] = defaultdict(list)
    for order in world:
        if order.customer_id:
            by_customer[order.customer_id].append(order)
    rows: set[Row] = set()
    previous: dict[str, str] = {}
    for day in month_ends(as_of):
        values: dict[str, tuple[int, int, Decimal]] = {}
        for customer, orders in by_customer.items():
            kept = [order for order in orders if order.is_kept(day)]
            if kept:
                inside = [order for order in kept if not window or months_apart(order.date, day) < window]
                recency = (day - max(order.date for order in kept)).days
                values[customer] = (recency, len(inside), sum((order.net(day) for order in inside), Decimal(0)))
        markets = {customer: market_on(customer, day) if options.by_market else "" for customer in values}
        # what each measure ranks by: greater is better, ties only where they are split
        keys = {
            measure: {
                customer: (
                    -value[i] if i == 0 else value[i],
                    account_number(customer) * (measure in options.split_ties),
                )
                for customer, value in values.items()
            }
            for i, measure in enumerate(MEASURES)
        }
        segments = {}
        for customer, value in values.items():
            others = [other for other in values if markets[other] == markets[customer]]
            r, f, m = (
                cut_point_score(measure, value[i], markets[customer])
                if measure in options.cut_points
                else score(keys[measure][customer], [keys[measure][other] for other in others])
                for i, measure in enumerate(MEASURES)
            )
            segments[customer] = grid[r, f] if options.segments_from == "grid" else first_rule(r, f, m)
            rows.add(
                (customer, day, markets[customer] or None, *value, r, f, m, f"{r}{f}{m}", segments[customer],
                 previous.get(customer))
            )  # fmt: skip
        previous = segments
    return rows


def first_rule(r: int, f: int, m: int) -> str:
    return next(s for s, r1, r2, f1, f2, m1, m2 in RULES if r1 <= r <= r2 and f1 <= f <= f2 and m1 <= m <= m2)


def project_with_own_seeds(folder: Path) -> Path:
    """The dbt project with the cut points and rules of this test, as a marketer edits them."""
    project = folder / "dbt_project"
    if not project.exists():
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
        with (project / "seeds" / "rfm_cut_points.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("market", "measure", "score", "cut_point"))
            for (market, measure), points in CUT_POINTS.items():
                writer.writerows((market, measure, score, point) for score, point in enumerate(points, start=2))
        with (project / "seeds" / "rfm_segment_rules.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("priority", "segment", "r_from", "r_to", "f_from", "f_to", "m_from", "m_to"))
            writer.writerows((priority, *rule) for priority, rule in enumerate(RULES, start=1))
    return project


def write_facts(folder: Path, world: list[Order], as_of: dt.date) -> None:
    orders, lines, returns = [], [], []
    for order in world:
        back = sum((line.amount - line.net(as_of) for line in order.lines), Decimal(0))
        orders.append(
            (
                order.order_id,
                order.customer_id,
                order.date,
                order.cancelled,
                order.net(as_of),
                back,
                order.is_test,
                order.is_kept(as_of),
            )
        )
        for number, line in enumerate(order.lines):
            line_id = f"{order.order_id}-{number}"
            lines.append((line_id, order.order_id, line.quantity))
            returns += [(f"{line_id}-{i}", line_id, order.order_id, *back) for i, back in enumerate(line.returns)]
    for name in ("warehouse", "datamart", "personal"):
        (folder / f"{name}.duckdb").unlink(missing_ok=True)
        duckdb.connect(folder / f"{name}.duckdb").close()
    with duckdb.connect(folder / "datamart.duckdb") as connection:
        connection.execute("""
            create schema mart;
            create table mart.fct_orders (
                order_id varchar, customer_id varchar, order_date date, cancelled_date date,
                net_amount decimal(18, 2), returned_amount decimal(18, 2), is_test boolean, is_kept boolean
            );
            create table mart.fct_order_lines (order_line_id varchar, order_id varchar, quantity decimal(18, 3));
            create table mart.fct_returns (
                return_id varchar, order_line_id varchar, order_id varchar,
                return_date date, returned_quantity decimal(18, 3), returned_amount decimal(18, 2)
            );
        """)
        connection.executemany("insert into mart.fct_orders values (?, ?, ?, ?, ?, ?, ?, ?)", orders)
        connection.executemany("insert into mart.fct_order_lines values (?, ?, ?)", lines)
        connection.executemany("insert into mart.fct_returns values (?, ?, ?, ?, ?, ?)", returns)
        connection.execute(
            "create table mart.dim_customer (customer_id varchar, country varchar, valid_from date, valid_to date)"
        )
        beginning, end = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
        customers = sorted({order.customer_id for order in world if order.customer_id})
        connection.executemany(
            "insert into mart.dim_customer values (?, nullif(?, ''), ?, ?)",
            [
                (customer, market_on(customer, since), since, until)
                for customer in customers
                for since, until in ((beginning, MOVED), (MOVED, end))
            ],
        )
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        connection.execute("create schema control; create table control.run_parameters (as_of_date date)")
        connection.execute("insert into control.run_parameters values (?)", [as_of])
        connection.execute(
            "create schema intermediate;"
            "create table intermediate.int_customer_identity (customer_id varchar, source_customer_id varchar)"
        )
        # the second account of a customer is never the lowest
        connection.executemany(
            "insert into intermediate.int_customer_identity values (?, ?)",
            [(customer, number) for customer in customers for number in (account_number(customer), "z" + customer)],
        )


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse")


@pytest.mark.parametrize(
    ("seed", "options", "as_of"),
    [
        pytest.param(1, Options(), dt.date(2024, 7, 31), id="24 months, at a month's end"),
        pytest.param(2, Options(3), dt.date(2023, 6, 30), id="3 months: many customers with nothing in the window"),
        pytest.param(
            3, Options(0), dt.date(2023, 6, 29), id="the whole history, within a month", marks=pytest.mark.slow
        ),
        pytest.param(
            4,
            Options(12, ("monetary",), ("frequency",), True, "rules"),
            dt.date(2023, 3, 31),
            id="every option: recency by rank, frequency with split ties, monetary by cut points, by market, by rules",
        ),
        pytest.param(
            5,
            Options(cut_points=MEASURES, by_market=True),
            dt.date(2023, 3, 31),
            id="cut points, some of a market's own",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            6, Options(split_ties=MEASURES), dt.date(2023, 3, 31), id="all ties split", marks=pytest.mark.slow
        ),
        pytest.param(
            7,
            Options(cut_points=("recency",), segments_from="rules"),
            dt.date(2023, 3, 31),
            id="rules of R, F and M",
            marks=pytest.mark.slow,
        ),
        pytest.param(8, Options(by_market=True), dt.date(2023, 3, 31), id="by market", marks=pytest.mark.slow),
    ],
)
def test_every_row_of_every_month_equals_its_recomputation(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch, seed: int, options: Options, as_of: dt.date
) -> None:
    world = random_world(seed, as_of)
    write_facts(warehouse, world, as_of)
    monkeypatch.setenv("FIDELIS_WAREHOUSE_DIR", str(warehouse))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    is_default = options == Options(options.window_months)
    seeds = [
        name for name, used in (("rfm_cut_points", options.cut_points), ("rfm_segment_rules", not is_default)) if used
    ]
    project = PROJECT if is_default else project_with_own_seeds(warehouse)
    build_models(project, warehouse, [*MODELS, *seeds], "--vars", options.as_vars())

    with duckdb.connect(warehouse / "datamart.duckdb", read_only=True) as connection:
        rows = connection.sql("""
            select customer_id, snapshot_date, market, recency_days, frequency, monetary, r_score, f_score, m_score,
                rfm_code, segment, previous_segment
            from mart.customer_rfm_monthly
        """).fetchall()
    expected = expected_rows(world, as_of, options)
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    # the world is worth the test: customers lose all their orders again, or have none in the window
    snapshots = {(row[0], row[1]) for row in expected}
    gone = [row for row in expected if (row[0], month_end(row[1] + dt.timedelta(days=1))) not in snapshots]
    assert any(row[1] < max(day for _, day in snapshots) for row in gone)
    assert any(row[4] == 0 for row in expected) or options.window_months in (0, 24)
    if options.by_market:
        assert len({row[2] for row in expected}) == 3
    # an option that changed nothing would not be tried
    assert is_default or expected != expected_rows(world, as_of, Options(options.window_months))
