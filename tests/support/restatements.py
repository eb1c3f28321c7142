"""Small marts built by the project's own models from rows made by hand, one published after the other."""

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal

import duckdb

from orchestration import dbt_runner
from orchestration.restatements.causes import find_causes
from orchestration.restatements.compare import Built, changed_figures

MODELS = (
    "int_orders_enriched", "fct_returns", "fct_order_lines", "fct_orders", "int_customer_activity_monthly", "kpi_monthly",
    "kpi_half_yearly", "int_undone_orders", "int_customer_rfm_states", "int_rfm_score_bounds", "customer_rfm_monthly",
)  # fmt: skip
PUBLISHED = ("fct_orders", "fct_order_lines", "fct_returns", "kpi_monthly", "kpi_half_yearly", "customer_rfm_monthly")
BUILT = Built(mart="datamart.mart", staging="warehouse.staging", intermediate="warehouse.intermediate")
AS_OF = dt.date(2024, 3, 10)
LATER = dt.date(2024, 3, 20)

Row = dict[str, object]


@dataclass(frozen=True)
class World:
    """What was delivered, and who is who: rows by key."""

    orders: dict[str, Row] = field(default_factory=dict)
    lines: dict[str, Row] = field(default_factory=dict)
    returns: dict[str, Row] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)  # customer of each account
    rates: dict[str, Decimal] = field(default_factory=lambda: {"EUR": Decimal(1), "USD": Decimal("0.9")})
    costs: dict[str, Decimal | None] = field(
        default_factory=lambda: {"p0": Decimal("4.10"), "p1": Decimal(3), "p2": None}
    )
    sessions: int = 3

    def with_order(
        self, key: str, day: str, account: str | None, lines: dict[str, tuple[str, str]], **values: object
    ) -> "World":
        """With an order of ``lines``: quantity and unit price by product."""
        order: Row = {
            "account": account, "channel": "shop", "currency": "EUR", "at": dt.datetime.fromisoformat(f"{day} 12:00"),
            "is_test": False, "is_cancelled": False, **values,
        }  # fmt: skip
        added = {
            f"{key}-{product}": {"order": key, "product": product, "quantity": Decimal(q), "price": Decimal(price)}
            for product, (q, price) in lines.items()
        }
        return replace(self, orders={**self.orders, key: order}, lines={**self.lines, **added})

    def with_return(self, key: str, line: str, day: str, quantity: str, amount: str) -> "World":
        back: Row = {
            "line": line,
            "day": dt.date.fromisoformat(day),
            "quantity": Decimal(quantity),
            "amount": Decimal(amount),
        }
        return replace(self, returns={**self.returns, key: back})

    def with_values(self, key: str, **values: object) -> "World":
        """With other values of an order."""
        return replace(self, orders={**self.orders, key: {**self.orders[key], **values}})


def insert(con: duckdb.DuckDBPyConnection, table: str, columns: str, rows: list[tuple]) -> None:
    con.execute(f"create or replace table {table} ({columns})")
    if rows:
        con.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)


def build(con: duckdb.DuckDBPyConnection, models: dict[str, str], world: World, as_of: dt.date) -> None:
    """The mart of a world, as dbt would build it of these rows of staging."""
    for database, schemas in {
        "warehouse": ("staging", "intermediate", "control", "reference"),
        "datamart": ("mart",),
    }.items():
        con.execute(f"attach if not exists ':memory:' as {database}")
        for schema in schemas:
            con.execute(f"create schema if not exists {database}.{schema}")
    insert(con, "warehouse.control.run_parameters", "as_of_date date, business_timezone varchar", [(as_of, "UTC")])
    insert(
        con,
        "warehouse.control.source_tables",
        "table_name varchar, prices_include_tax boolean",
        [("order_lines", False)],
    )
    insert(
        con, "warehouse.staging.stg_shop__orders",
        "order_id varchar, customer_id varchar, channel_id varchar, campaign_id varchar, currency varchar, coupon_code varchar, "
        "is_test boolean, is_cancelled boolean, ordered_at timestamp, order_date date, cancelled_date date, delivery_date date",
        [
            (k, o["account"], o["channel"], None, o["currency"], None, o["is_test"], o["is_cancelled"], o["at"], o["at"].date(),
             o.get("cancelled", as_of) if o["is_cancelled"] else None, o.get("delivered", AS_OF))
            for k, o in world.orders.items()
        ],
    )  # fmt: skip
    insert(
        con, "warehouse.staging.stg_shop__order_lines",
        "order_line_id varchar, order_id varchar, product_id varchar, quantity decimal(18, 3), unit_price decimal(18, 4), "
        "line_amount decimal(18, 4), discount_amount decimal(18, 2), tax_rate decimal(9, 6), delivery_date date",
        [
            (k, v["order"], v["product"], v["quantity"], v["price"], None, v.get("discount"), Decimal("0.2"), v.get("delivered", AS_OF))
            for k, v in world.lines.items()
        ],
    )  # fmt: skip
    insert(
        con, "warehouse.staging.stg_shop__returns",
        "return_id varchar, order_line_id varchar, returned_at timestamp, return_date date, returned_quantity decimal(18, 3), "
        "refund_amount decimal(18, 4), delivery_date date",
        [
            (k, r["line"], dt.datetime.combine(r["day"], dt.time()), r["day"], r["quantity"], r["amount"], r.get("delivered", AS_OF))
            for k, r in world.returns.items()
        ],
    )  # fmt: skip
    insert(
        con, "warehouse.intermediate.int_customer_identity", "source_customer_id varchar, customer_id varchar",
        list(world.people.items()),
    )  # fmt: skip
    insert(
        con,
        "warehouse.intermediate.int_record_identity",
        "record_kind varchar, source_id varchar, customer_id varchar",
        [],
    )
    days = [dt.date(2022, 1, 1) + dt.timedelta(days=i) for i in range(900)]
    con.execute(
        "create or replace table warehouse.intermediate.int_exchange_rates_applied as select currency, applied_date, "
        "cast(rate as decimal(18, 8)) as fx_rate from (select unnest($1) as currency, unnest($2) as rate), "
        "(select unnest($3) as applied_date)",
        [list(world.rates), [str(r) for r in world.rates.values()], days],
    )
    insert(
        con, "datamart.mart.dim_product",
        "product_key varchar, product_id varchar, unit_cost decimal(18, 4), valid_from date, valid_to date",
        [(f"{p}-key", p, cost, dt.date(1900, 1, 1), dt.date(9999, 12, 31)) for p, cost in world.costs.items()],
    )  # fmt: skip
    insert(
        con,
        "datamart.mart.dim_customer",
        "customer_key varchar, customer_id varchar, valid_from date, valid_to date",
        [],
    )
    insert(
        con, "datamart.mart.fct_web_sessions", "session_date date, purchases bigint, is_bot boolean",
        [(dt.date(2024, 1, 5), n % 2, False) for n in range(world.sessions)],
    )  # fmt: skip
    grid = dbt_runner.DBT_PROJECT_DIR / "seeds" / "rfm_segment_grid.csv"
    con.execute(f"create or replace table warehouse.reference.rfm_segment_grid as from read_csv('{grid}')")
    for name in MODELS:
        schema = "warehouse.intermediate" if name.startswith("int_") else "datamart.mart"
        con.execute(f"create or replace table {schema}.{name} as {models[name]}")


def publish(con: duckdb.DuckDBPyConnection, world: World) -> None:
    """The mart as built becomes the published one, with its identities."""
    con.execute("attach if not exists ':memory:' as published; create schema if not exists published.mart")
    for name in PUBLISHED:
        con.execute(f"create or replace table published.mart.{name} as from datamart.mart.{name}")
    con.execute(
        "attach if not exists ':memory:' as published_persons; create schema if not exists published_persons.restricted"
    )
    forever = dt.date(9999, 12, 31)
    insert(
        con, "published_persons.restricted.customer_identity",
        "record_kind varchar, source_id varchar, customer_id varchar, valid_to date, until_revision bigint",
        [("account", account, person, forever, None) for account, person in world.people.items()],
    )  # fmt: skip


Effects = dict[tuple[str, str, str | None, str], dict[str, Decimal]]


def restate(
    con: duckdb.DuckDBPyConnection,
    models: dict[str, str],
    before: World,
    after: World,
    *,
    rules_changed: bool = False,
    delivered: tuple[tuple[str, dt.date], ...] = (),
) -> Effects:
    """Effects by cause of each changed figure (table, month, channel, metric) when the mart of ``after`` follows that of ``before``."""
    build(con, models, before, AS_OF)
    publish(con, before)
    build(con, models, after, LATER)
    insert(con, "memory.changed_deliveries", "table_name varchar, delivery_date date", list(delivered))
    changed_figures(con, AS_OF, BUILT.mart)
    find_causes(con, BUILT, rules_changed=rules_changed, has_persons=True, rfm_window_months=24)
    found: Effects = {}
    for table, start, channel, metric, cause, effect in con.execute(
        "select table_name, period_start, channel_id, metric, cause, effect from effects order by all"
    ).fetchall():
        found.setdefault((table, str(start), channel, metric), {})[cause] = effect
    return found


def changes(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str | None, str], Decimal]:
    rows = con.execute(
        "select table_name, period_start, channel_id, metric, coalesce(new_value, 0) - coalesce(old_value, 0) from changed"
    ).fetchall()
    return {(table, str(start), channel, metric): change for table, start, channel, metric, change in rows}
