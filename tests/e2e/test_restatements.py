"""What a night changes in published figures is in the release with its causes, and stays there."""

import csv

import duckdb
import pytest

from tests.e2e.conftest import Retailer

PUBLISHED, LAST, LATE_DAY = "2023-02-05", "2023-02-09", "2023-02-08"
JANUARY = (
    "select cause, effect, old_value, new_value from mart.kpi_restatements where table_name = 'kpi_monthly' "
    "and period_start = date '2023-01-01' and channel_id is null and metric = 'net_amount'"
)

FIGURE = "select net_amount from mart.kpi_monthly where period_start = date '2023-01-01' and channel_id is null"


def append(retailer: Retailer, table: str, row: dict[str, str]) -> None:
    """One more row in the delivery of the late day; what is not named is empty."""
    file = retailer.landing / "shop" / f"{table}_{LATE_DAY}.csv"
    with open(file, newline="") as stream:
        header = next(csv.reader(stream))
    assert set(row) <= set(header)
    ending = "\r\n" if b"\r\n" in file.read_bytes() else "\n"
    with open(file, "a", newline="") as stream:
        csv.DictWriter(stream, header, lineterminator=ending).writerow({name: row.get(name, "") for name in header})


@pytest.mark.slow
def test_a_late_return_and_a_late_order_restate_january_each_with_its_share(retailer: Retailer) -> None:
    retailer.fidelis("run", "--from", "2023-01-01", "--to", PUBLISHED)
    assert retailer.query("select count(*) from mart.kpi_restatements") == [(0,)]
    # a line of several units, so that one of them back leaves the order kept
    line, price = retailer.query(
        "select order_line_id, round(net_amount / quantity, 2) from mart.fct_order_lines "
        "where is_kept and order_date < date '2023-02-01' and currency = 'EUR' and quantity >= 2 and returned_quantity = 0 "
        "order by order_line_id limit 1"
    )[0]
    returned = {
        "return_no": "RX1",
        "line_id": line,
        "returned_at": f"{LATE_DAY} 10:00:00",
        "qty": "1.000",
        "refund": str(price),
    }
    order = {
        "order_no": "OX1",
        "channel": "WEB",
        "ordered_at": "2023-01-15 12:00:00",
        "currency": "EUR",
        "status": "completed",
    }
    sold = {
        "line_id": "LX1",
        "order_no": "OX1",
        "sku": "P10204",
        "qty": "1.000",
        "unit_price": "120.00",
        "tax_rate": "0.200",
    }
    append(retailer, "returns", returned)
    with open(retailer.landing / "shop" / "orders_2023-01-02.csv", newline="") as stream:
        buyer = next(row["customer_no"] for row in csv.DictReader(stream) if row["customer_no"])
    append(retailer, "orders", {**order, "customer_no": buyer, "test_order": "false"})
    append(retailer, "order_lines", {**sold, "discount": "0.00"})
    retailer.fidelis("run", "--from", "2023-02-06", "--to", LAST)

    # by hand, from the two releases' snapshots of January
    snapshots = (
        "select count(*), sum(frequency), sum(monetary), sum(recency_days) from mart.customer_rfm_monthly "
        "where snapshot_date = date '2023-01-31'"
    )
    first = retailer.home / "releases" / "20230205-0001" / "datamart.duckdb"
    with duckdb.connect(str(first), read_only=True) as con:
        was = con.execute(snapshots).fetchall()[0]
    told = dict(
        retailer.query(
            "select metric, sum(effect) from mart.kpi_restatements where table_name = 'customer_rfm_monthly' group by metric"
        )
    )
    is_now = retailer.query(snapshots)[0]
    names = ("customers", "frequency", "monetary", "recency_days")
    changes = {name: new - old for name, old, new in zip(names, was, is_now, strict=True) if new != old}
    assert told == changes
    assert changes["frequency"] >= 1
    printed = retailer.fidelis("why", "customer_rfm_monthly", "2023-01", "monetary").stdout
    assert "late_order: orders that were delivered after the figure was published" in printed

    # by hand, from the facts of the two releases: orders of January that were not there, and the returns of those that were
    facts = "select order_id, net_amount, returned_amount, is_kept, is_cancelled from mart.fct_orders where order_date < date '2023-02-01'"
    new = {row[0]: row[1:] for row in retailer.query(facts)}
    with duckdb.connect(str(first), read_only=True) as con:
        old = {row[0]: row[1:] for row in con.execute(facts).fetchall()}
        before = con.execute(FIGURE).fetchall()[0][0]
    after = retailer.query(FIGURE)[0][0]
    late = sum(net for order, (net, _, kept, _) in new.items() if order not in old and kept)
    back = sum(new[o][1] - returned for o, (_, returned, kept, _) in old.items() if kept and new[o][2])
    told = {cause: effect for cause, effect, *_ in retailer.query(JANUARY)}
    assert told["late_order"] == late >= new["OX1"][0] == 120
    undone = {o: old[o][0] for o in old if old[o][2] and not new[o][2]}
    assert -told["return"] == back + sum(net for o, net in undone.items() if not new[o][3])
    assert -told.get("cancellation", 0) == sum(net for o, net in undone.items() if new[o][3])
    assert sum(told.values()) == after - before
    assert {row[2:] for row in retailer.query(JANUARY)} == {(before, after)}

    printed = retailer.fidelis("why", "kpi_monthly", "2023-01", "net_amount").stdout
    assert f"from {before:,} (release 20230205-0001) to {after:,}" in printed
    assert "late_order: orders that were delivered after the figure was published" in printed
    assert "return: goods sent back" in printed

    # a full refresh publishes the same, and forgets nothing
    restated = retailer.query("from mart.kpi_restatements order by all")
    retailer.fidelis("run", "--full-refresh")
    assert retailer.query("from mart.kpi_restatements order by all") == restated
