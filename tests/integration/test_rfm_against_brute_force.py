"""customer_rfm_monthly against a plain recomputation of every snapshot, in small random worlds full of ties and undone orders."""

import csv
import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

PROJECT = Path(__file__).parents[2] / "dbt_project"
MODELS = (
    "rfm_segment_grid",
    "int_undone_orders",
    "int_customer_rfm_states",
    "int_rfm_score_bounds",
    "customer_rfm_monthly",
)
FIRST_DAY = dt.date(2022, 1, 1)
# customer, snapshot, recency, frequency, monetary, R, F, M, code, segment, previous segment
Row = tuple[str, dt.date, int, int, Decimal, int, int, int, str, str, str | None]


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


def score(value: int | Decimal, population: list[int | Decimal]) -> int:
    """1 + floor(5 * percent_rank), at most 5, in fractions."""
    if len(population) == 1:
        return 1
    return min(5, 1 + int(5 * Fraction(sum(other < value for other in population), len(population) - 1)))


def expected_rows(world: list[Order], as_of: dt.date, window_months: int) -> set[Row]:
    with (PROJECT / "seeds" / "rfm_segment_grid.csv").open() as file:
        grid = {(int(row["r_score"]), int(row["f_score"])): row["segment"] for row in csv.DictReader(file)}
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
                inside = [order for order in kept if not window_months or months_apart(order.date, day) < window_months]
                recency = (day - max(order.date for order in kept)).days
                values[customer] = (recency, len(inside), sum((order.net(day) for order in inside), Decimal(0)))
        recencies, frequencies, monetaries = ([value[i] for value in values.values()] for i in range(3))
        segments = {}
        for customer, (recency, frequency, monetary) in values.items():
            r = score(-recency, [-other for other in recencies])
            f, m = score(frequency, frequencies), score(monetary, monetaries)
            segments[customer] = grid[r, f]
            rows.add(
                (customer, day, recency, frequency, monetary, r, f, m, f"{r}{f}{m}", grid[r, f], previous.get(customer))
            )
        previous = segments
    return rows


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
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        connection.execute("create schema control; create table control.run_parameters (as_of_date date)")
        connection.execute("insert into control.run_parameters values (?)", [as_of])


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse")


@pytest.mark.parametrize(
    ("seed", "window_months", "as_of"),
    [
        pytest.param(1, 24, dt.date(2024, 7, 31), id="24 months, at a month's end"),
        pytest.param(2, 3, dt.date(2023, 6, 30), id="3 months: many customers with nothing in the window"),
        pytest.param(3, 0, dt.date(2023, 6, 29), id="the whole history, within a month"),
    ],
)
def test_every_row_of_every_month_equals_its_recomputation(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch, seed: int, window_months: int, as_of: dt.date
) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    world = random_world(seed, as_of)
    write_facts(warehouse, world, as_of)
    monkeypatch.setenv("FIDELIS_WAREHOUSE_DIR", str(warehouse))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    result = dbtRunner().invoke(
        [
            "build",
            "--quiet",
            "--log-level-file",
            "none",
            "--exclude-resource-type",
            "test",
            "unit_test",
            "--select",
            *MODELS,
            "--vars",
            f"{{rfm_window_months: {window_months}}}",
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
            "--target-path",
            str(warehouse / "target"),
            "--log-path",
            str(warehouse / "logs"),
        ]
    )
    DuckDBConnectionManager.close_all_connections()  # dbt keeps its files open for the life of the process
    assert result.success, result.exception

    with duckdb.connect(warehouse / "datamart.duckdb", read_only=True) as connection:
        rows = connection.sql("""
            select customer_id, snapshot_date, recency_days, frequency, monetary, r_score, f_score, m_score,
                rfm_code, segment, previous_segment
            from mart.customer_rfm_monthly
        """).fetchall()
    expected = expected_rows(world, as_of, window_months)
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    # the world is worth the test: customers lose all their orders again, or have none in the window
    snapshots = {(row[0], row[1]) for row in expected}
    gone = [row for row in expected if (row[0], month_end(row[1] + dt.timedelta(days=1))) not in snapshots]
    assert any(row[1] < max(day for _, day in snapshots) for row in gone)
    assert any(row[3] == 0 for row in expected) or window_months == 0
