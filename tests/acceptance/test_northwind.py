"""Northwind's files, as they are: 176 orders and 24 customers have an unquoted comma and a field too many."""

import csv
import shutil
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import Retailer
from tests.support.real import Extracted, broken_lines, environment, records, shared
from tests.support.world import quarantined

pytestmark = pytest.mark.acceptance
#: Field in which each file has the comma.
ADDRESS = {"orders": 9, "customers": 4}
CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that a corrected file can be delivered."""
    return Path(shutil.copytree(shared("northwind"), tmp_path_factory.mktemp("northwind") / "landing"))


def lines(order: Callable[[str], bool] = lambda _: True) -> list[tuple[Decimal, Decimal]]:
    """(gross, discount to the cent) of each line of the orders chosen, by Python's decimals."""
    _, *rows = records(shared("northwind") / "order-details.csv")
    found = [(Decimal(price) * int(quantity), Decimal(share)) for o, _, price, quantity, share in rows if order(o)]
    return [(gross, (gross * share).quantize(CENT, ROUND_HALF_UP)) for gross, share in found]


def whole_orders() -> set[str]:
    header, *rows = records(shared("northwind") / "orders.csv")
    return {row[0] for row in rows if len(row) == len(header)}


def correct(landing: Path, table: str) -> None:
    """Deliver a file again with its addresses quoted."""
    file, field = landing / f"{table}.csv", ADDRESS[table]
    header, *rows = records(file)
    for row in rows:
        if len(row) > len(header):
            row[field : field + 2] = [",".join(row[field : field + 2])]
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def test_the_broken_rows_and_no_other_are_in_quarantine_until_the_file_is_corrected(
    landing: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(landing, tmp_path / "landing"))
    northwind = Extracted("northwind", tmp_path / "home", own)
    assert northwind.counts("orders") == {"read": 830, "loaded": 654, "quarantined": 176}
    assert northwind.counts("customers") == {"read": 91, "loaded": 67, "quarantined": 24}
    assert northwind.counts("order_lines") == {"read": 2_155, "loaded": 2_155}
    assert northwind.counts("products") == {"read": 77, "loaded": 77}
    for table in ADDRESS:
        columns = "file, line, raw_text, rules"
        found = quarantined(northwind.settings, northwind.contracts[table], columns)
        rule = "malformed_record: too many columns"
        assert found == [(*place, rule) for place in broken_lines(own / f"{table}.csv")]
        correct(own, table)
    northwind.load()
    assert northwind.counts("orders") == {"read": 830, "loaded": 830}
    assert northwind.counts("customers") == {"read": 91, "loaded": 91}
    assert all(quarantined(northwind.settings, northwind.contracts[table]) == [] for table in ADDRESS)


def test_no_value_of_a_loaded_row_is_another_columns(landing: Path, tmp_path: Path) -> None:
    northwind = Extracted("northwind", tmp_path, landing)
    header, *rows = records(landing / "customers.csv")
    wanted = ("customerID", "contactName", "phone", "address", "postalCode", "city", "country")
    places = [header.index(name) for name in wanted]
    whole = [tuple(None if row[p] == "NULL" else row[p] for p in places) for row in rows if len(row) == len(header)]
    columns = "customer_id, last_name, phone, street, postal_code, city, country"
    assert northwind.query("customers", f"select {columns} from accepted order by 1") == sorted(whole)
    sums = "select sum(quantity * unit_price), sum(discount_amount) from accepted"
    assert northwind.query("order_lines", sums) == [(Decimal("1354458.59"), sum(d for _, d in lines()))]


@pytest.mark.slow
def test_the_mart_adds_up_to_the_published_totals_before_and_after_the_correction(
    landing: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    northwind = Retailer(home, {**environment("northwind"), "FIDELIS_LANDING": str(landing)})
    northwind.fidelis("run")
    whole = whole_orders()
    sold = lines(lambda order: order in whole)
    waiting = lines(lambda order: order not in whole)
    amounts = "select count(*), sum(gross_amount), sum(discount_amount) from mart.fct_order_lines"
    assert northwind.query("select count(*) from mart.fct_orders") == [(654,)]
    assert northwind.query(amounts) == [(len(sold), sum(g for g, _ in sold), sum(d for _, d in sold))]
    # the lines of the orders in quarantine wait, and are named
    excluded = """
        select measure, excluded_value from mart.audit_exclusions
        where table_name = 'order_lines' and reason = 'order_not_delivered' and measure in ('rows', 'gross_amount')
    """
    assert dict(northwind.query(excluded)) == {"rows": len(waiting), "gross_amount": sum(g for g, _ in waiting)}

    for table in ADDRESS:
        correct(landing, table)
    northwind.fidelis("run")
    total = lines()
    net = sum(g - d for g, d in total)
    assert northwind.query(amounts) == [(2_155, Decimal("1354458.59"), sum(d for _, d in total))]
    # published is the sum of discounts not rounded; here each line has whole cents, as an invoice has
    assert northwind.query("select count(*), sum(net_amount) from mart.fct_orders where is_kept") == [(830, net)]
    assert abs(net - Decimal("1265793.04")) < CENT / 2 * len(total)
    assert northwind.query("select count(*), sum(lifetime_net) from mart.customer_value") == [(89, net)]
    assert northwind.query("select count(distinct customer_id), count(country) from mart.dim_customer") == [(91, 91)]
