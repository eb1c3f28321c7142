"""UCI Online Retail (2009-10), its year cut by day into deliveries: sales, credit notes and adjustments in one file."""

import csv
import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest

from tests.e2e.conftest import Retailer
from tests.support.real import Extracted, environment, records, shared
from tests.support.world import quarantined

pytestmark = pytest.mark.acceptance
CENT = Decimal("0.01")
#: Lines that a customer bought and paid for: the rows of the published figures, from our facts.
BOUGHT = "select * from mart.fct_order_lines where customer_id is not null and quantity > 0 and gross_amount > 0"


def cut(landing: Path, first: str = "2009-12-01", last: str = "2010-12-09") -> Path:
    """Write the year's file as one CSV file per day on which there is a line."""
    landing.mkdir(exist_ok=True)
    source = shared("uci_online_retail_2009_10") / "online_retail_II_2009_2010.parquet"
    with duckdb.connect() as con:
        con.execute(f"""
            create table year as select *, cast(InvoiceDate[:10] as date) as day, file_row_number as place
            from read_parquet('{source}', file_row_number = true) where InvoiceDate[:10] between '{first}' and '{last}'
        """)
        for (day,) in con.execute("select distinct day from year order by day").fetchall():
            con.execute(
                f"copy (select * exclude (day, place) from year where day = '{day}' order by place) "
                f"to '{landing}/online_retail_{day}.csv' (header)"
            )
    return landing


def kind(invoice: str, quantity: str) -> str:
    """What a line is, by the rules of the data set's description."""
    if invoice.startswith("A"):
        return "bad debt"
    if invoice.startswith("C"):
        return "return" if quantity.startswith("-") else "broken"
    return "adjustment" if quantity.startswith("-") else "sale"


def test_each_line_goes_to_the_tables_it_belongs_to_and_a_credit_note_that_takes_nothing_back_to_quarantine(
    tmp_path: Path,
) -> None:
    landing = cut(tmp_path / "landing", "2010-01-25", "2010-02-05")
    shop = Extracted("online_retail", tmp_path / "home", landing)
    files = sorted(landing.iterdir())
    assert len(files) == len(shop.days["orders"]) == 11
    lines = [
        (file.name, place, dict(zip(header, row, strict=True)))
        for file in files
        for header, *rows in [records(file)]
        for place, row in enumerate(rows, start=2)
    ]
    by_kind: dict[str, list[dict[str, str]]] = {}
    for _, _, row in lines:
        by_kind.setdefault(kind(row["InvoiceNo"], row["Quantity"]), []).append(row)
    assert {name: len(rows) for name, rows in by_kind.items()} == {
        "sale": len(lines) - len(by_kind["return"]) - len(by_kind["adjustment"]) - 1,
        "return": len(by_kind["return"]),
        "adjustment": len(by_kind["adjustment"]),
        "broken": 1,
    }

    sold, back = by_kind["sale"], by_kind["return"]
    counts = shop.counts("order_lines")
    assert counts == {
        "read": len(lines),
        "loaded": len(sold) + len(back),
        "elsewhere": len(by_kind["adjustment"]),
        "quarantined": 1,
    }
    assert shop.counts("returns") == {
        "read": len(lines),
        "loaded": len(back),
        "elsewhere": len(sold) + len(by_kind["adjustment"]),
        "quarantined": 1,
    }
    for table in ("order_lines", "returns"):
        broken = [(file, place) for file, place, row in lines if kind(row["InvoiceNo"], row["Quantity"]) == "broken"]
        found = quarantined(shop.settings, shop.contracts[table], "file, line, rules")
        assert found == [(*place, "quantity_minimum") for place in broken]

    def amount(rows: list[dict[str, str]]) -> Decimal:
        return sum((Decimal(r["UnitPrice"]) * int(r["Quantity"]) for r in rows), Decimal(0))

    assert shop.query("order_lines", "select sum(quantity * unit_price) from accepted") == [(amount(sold),)]
    assert shop.query("returns", "select sum(amount), sum(quantity) from accepted") == [
        (-amount(back), -sum(int(r["Quantity"]) for r in back))
    ]
    invoices = {r["InvoiceNo"]: r["CustomerID"] or None for r in [*sold, *back, *by_kind["broken"]]}
    orders = shop.query("orders", "select order_id, customer_id from accepted order by order_id")
    assert orders == sorted(invoices.items())
    first = {}
    for row in [*sold, *back]:
        first[row["InvoiceNo"]] = min(first.get(row["InvoiceNo"], "9"), row["InvoiceDate"])
    times = shop.query(
        "orders", "select order_id, cast(ordered_at as varchar) from accepted where order_id <> 'C496350'"
    )
    assert dict(times) == first
    customers = {(r["CustomerID"], r["Country"]) for _, _, r in lines if r["CustomerID"]}
    assert set(shop.query("customers", "select customer_id, country from accepted")) == customers


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """The whole year in one run, 307 deliveries."""
    landing = cut(tmp_path_factory.mktemp("online_retail") / "landing")
    made = Retailer(tmp_path_factory.mktemp("home"), {**environment("online_retail"), "FIDELIS_LANDING": str(landing)})
    made.fidelis("run")
    return made


def published() -> dict[str, Decimal]:
    with (shared("uci_online_retail_2009_10") / "expected" / "kpis_computed.csv").open(newline="") as stream:
        return {row["kpi"]: Decimal(row["value"]) for row in csv.DictReader(stream)}


@pytest.mark.slow
def test_counts_and_sums_of_the_year_are_the_published_ones(year: Retailer) -> None:
    kpi = published()
    lines, customers, invoices, gross = year.query(
        f"select count(*), count(distinct customer_id), count(distinct order_id), sum(gross_amount) from ({BOUGHT})"
    )[0]
    assert (customers, invoices) == (kpi["customers"], kpi["invoices"])
    rows, back = year.query(
        "select count(*), sum(returned_amount) from mart.fct_returns where customer_id is not null"
    )[0]
    assert (rows, -back) == (kpi["cancel_rows_identified"], kpi["cancel_value_identified"])
    # 14 lines are one piece at 0.001 pounds: nothing in the whole cents that a line of the facts has, a cent in all
    assert lines == kpi["gross_rows"] - 14
    net = year.query("select sum(net_amount) from mart.fct_orders where customer_id is not null")[0][0]
    assert (gross, net) == (kpi["gross_revenue"] - CENT, kpi["net_revenue_identified_all_rows"] - CENT)
    # the accepted rows, with the price as it was delivered, give the published sums to the last digit
    delivered = f"""
        select count(*) filter (where l.quantity > 0 and l.unit_price > 0), round(sum(l.quantity * l.unit_price), 2)
        from read_parquet('{year.home}/raw/order_lines/*/*.parquet') as l
        join read_parquet('{year.home}/raw/orders/*/*.parquet') as o using (order_id)
        where o.customer_id is not null
    """
    with duckdb.connect() as con:
        exact_lines, exact = con.execute(delivered).fetchall()[0]
    assert (exact_lines, exact) == (kpi["gross_rows"], kpi["gross_revenue"])
    assert exact - back == kpi["net_revenue_identified_all_rows"]


@pytest.mark.slow
def test_frequency_basket_activity_and_concentration_are_the_published_ones(year: Retailer) -> None:
    kpi = published()
    orders, customers, gross, again, again_on_another_day, last_90d, last_365d = year.query(f"""
        with customers as (
            select customer_id, count(distinct order_id) as orders, count(distinct order_date) as days,
                sum(gross_amount) as gross, max(order_date) as last_date
            from ({BOUGHT}) group by customer_id
        )
        select sum(orders), count(*), sum(gross), count(*) filter (where orders > 1), count(*) filter (where days > 1),
            count(*) filter (where last_date > date '2010-12-09' - 90),
            count(*) filter (where last_date > date '2010-12-09' - 365)
        from customers
    """)[0]
    assert (last_90d, last_365d) == (kpi["active_last_90d"], kpi["active_last_365d"])

    def digits(value: Decimal, name: str) -> Decimal:
        return value.quantize(kpi[name], ROUND_HALF_UP)

    figures = {
        "avg_basket": gross / orders,
        "avg_frequency": Decimal(orders) / customers,
        "repurchase_rate_invoices": Decimal(again) / customers,
        "repurchase_rate_distinct_days": Decimal(again_on_another_day) / customers,
    }
    assert {name: digits(value, name) for name, value in figures.items()} == {name: kpi[name] for name in figures}

    top = int(kpi["pareto_top20pct_customers"])
    best = year.query(f"""
        select sum(gross) from (
            select sum(gross_amount) as gross from ({BOUGHT}) group by customer_id order by gross desc limit {top}
        )
    """)[0][0]
    assert top == -(-customers // 5)
    assert digits(best / gross, "pareto_top20pct_share") == kpi["pareto_top20pct_share"]


@pytest.mark.slow
def test_customers_who_gave_back_all_are_counted_exactly_where_binary_fractions_miss_six(year: Retailer) -> None:
    """106, not the published 100: six sums that are nought come out as 1e-13 when they are added up in doubles."""
    nets = year.query("select sum(net_amount) from mart.fct_orders where customer_id is not null group by customer_id")
    assert sum(net <= 0 for (net,) in nets) == 106
    source = shared("uci_online_retail_2009_10") / "online_retail_II_2009_2010.parquet"
    by_customer: dict[str, list[tuple[int, float]]] = {}
    with duckdb.connect() as con:
        rows = con.execute(f"select CustomerID, Quantity, UnitPrice from '{source}' where CustomerID is not null")
        for customer, quantity, price in rows.fetchall():
            by_customer.setdefault(customer, []).append((quantity, price))
    assert sum(sum(Decimal(str(p)) * q for q, p in lines) <= 0 for lines in by_customer.values()) == 106
    assert len(nets) == len(by_customer) == 4_383


@pytest.mark.slow
def test_the_marts_own_indicators_count_two_customers_more_who_only_got_free_goods(year: Retailer) -> None:
    """Our kept orders may be free of charge: two invoices at price 0, of two customers without another."""
    kpi = published()
    orders, customers, net = year.query(
        "select count(*), count(distinct customer_id), sum(net_amount) from mart.fct_orders "
        "where is_kept and customer_id is not null"
    )[0]
    assert (orders, customers) == (kpi["invoices"] + 2, kpi["customers"] + 2)
    assert net == kpi["gross_revenue"] - CENT
    assert year.query("select count(*), sum(orders), sum(lifetime_net) from mart.customer_value") == [
        (customers, orders, net)
    ]
    assert year.query(
        "select known_customers from mart.kpi_monthly where channel_id is null and period_start = date '2010-12-01'"
    ) == [(customers,)]


@pytest.mark.slow
def test_every_row_of_every_table_is_accounted_for_and_the_one_broken_line_is_named(year: Retailer) -> None:
    for table in ("orders", "order_lines", "returns", "customers", "products"):
        days = json.loads((year.home / "raw" / table / "_partitions.json").read_text())
        totals = {
            name: sum(day[f"rows_{name}"] for day in days.values())
            for name in ("read", "loaded", "quarantined", "duplicate", "elsewhere")
        }
        assert sum(day["rows_read"] > 0 for day in days.values()) == 307
        assert totals["read"] == published()["rows"] == sum(totals.values()) - totals["read"]
        assert totals["quarantined"] == (table in ("order_lines", "returns"))
    with duckdb.connect() as con:
        found = con.execute(
            f"select table_name, rules, file, line, raw_text from '{year.home}/quarantine/*/*/*.parquet' order by 1"
        ).fetchall()
    text = "C496350,M,Manual,1,2010-02-01 08:24:00,373.57,,United Kingdom,76799"
    place = ("quantity_minimum", "online_retail_2010-02-01.csv", 18, text)
    assert found == [("order_lines", *place), ("returns", *place)]
