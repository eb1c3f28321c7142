"""Jaffle shop: an order is paid in parts and holds no lines; returned orders are told by their status."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.e2e.conftest import Retailer
from tests.support.real import Extracted, environment, records, shared

pytestmark = pytest.mark.acceptance


def test_payments_in_parts_are_one_line_per_order(tmp_path: Path) -> None:
    shop = Extracted("jaffle_shop", tmp_path, shared("jaffle_shop"))
    assert shop.counts("order_lines") == {"read": 113, "loaded": 99, "duplicate": 14}
    assert shop.counts("orders") == {"read": 99, "loaded": 99}
    assert shop.counts("returns") == {"read": 99, "loaded": 4, "elsewhere": 95}
    _, *orders = records(shared("jaffle_shop") / "expected" / "orders_mart.csv")
    amounts = [(order, Decimal(amount).quantize(Decimal("0.01"))) for order, *_, amount in orders]
    paid = shop.query("order_lines", "select order_id, gross_amount from accepted order by order_id")
    assert paid == sorted(amounts)


@pytest.mark.slow
def test_orders_and_customers_are_the_published_ones_and_value_leaves_out_what_came_back(tmp_path: Path) -> None:
    folder = shared("jaffle_shop")
    shop = Retailer(tmp_path, {**environment("jaffle_shop"), "FIDELIS_LANDING": str(folder)})
    shop.fidelis("run")
    _, *orders = records(folder / "expected" / "orders_mart.csv")
    found = shop.query("""
        select order_id, customer_id, cast(order_date as varchar), gross_amount, returned_amount > 0 or not is_kept
        from mart.fct_orders order by cast(order_id as integer)
    """)
    with duckdb.connect(str(shop.datamart.parent / "restricted" / "personal.duckdb"), read_only=True) as con:
        account = dict(
            con.execute(
                "select customer_id, source_id from restricted.customer_identity "
                "where record_kind = 'account' and known_until is null"
            ).fetchall()
        )
    # names alone make no two accounts one customer
    found = [(order, account[customer], *others) for order, customer, *others in found]
    assert found == [(o, c, day, Decimal(amount), status == "returned") for o, c, day, status, *_, amount in orders]
    # the published lifetime value counts returned orders too: it is the gross of our facts, not their net
    _, *customers = records(folder / "expected" / "customers_mart.csv")
    by_customer = shop.query("""
        select customer_id, cast(min(order_date) as varchar), cast(max(order_date) as varchar), count(*), sum(gross_amount)
        from mart.fct_orders group by customer_id
    """)
    assert sorted((int(account[customer]), *figures) for customer, *figures in by_customer) == [
        (int(customer), first, last, int(count), Decimal(value))
        for customer, _, _, first, last, count, value in customers
        if int(count)
    ]
    assert shop.query("select count(distinct customer_id) from mart.dim_customer") == [(len(customers),)]
    kept = [(Decimal(amount), customer) for _, customer, _, status, *_, amount in orders if status != "returned"]
    value = "select sum(lifetime_net), count(*), sum(orders) from mart.customer_value"
    assert shop.query(value) == [(sum(a for a, _ in kept), len({c for _, c in kept}), len(kept))]
