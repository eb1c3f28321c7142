"""RFM by the rules of others, given as seeds and settings: their published segment tables come out."""

import csv
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import duckdb
import pytest

from tests.acceptance.test_online_retail import cut
from tests.e2e.conftest import Retailer
from tests.support.real import PROJECT, checkout_with_rules, environment, records, shared

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def run(home: Path, landing: Path, example: str, change: Mapping[str, str] | None = None) -> Retailer:
    """A retailer whose checkout has an example's seeds and settings; ``change`` replaces texts in its contracts."""
    checkout = checkout_with_rules(home / "checkout", example)
    contracts = checkout / "examples" / example / "contracts"
    for file in contracts.glob("*.yaml"):
        text = file.read_text()
        for old, new in (change or {}).items():
            text = text.replace(old, new)
        file.write_text(text)
    settings = {**environment(example), "FIDELIS_CONTRACTS": str(contracts), "FIDELIS_LANDING": str(landing)}
    made = Retailer(home / "home", {**settings, "PYTHONPATH": str(checkout)})
    made.fidelis("run")
    return made


def segment_names(example: str) -> dict[str, str]:
    """Segment code -> name, as the example's seed says."""
    with (PROJECT / "examples" / example / "seeds" / "rfm_segments.csv").open(newline="") as stream:
        return {row["segment"]: row["description"] for row in csv.DictReader(stream)}


def test_the_r_packages_segments_come_out_of_its_thresholds_and_rules(tmp_path: Path) -> None:
    folder = shared("rfm_r_orders")
    shop = run(tmp_path, folder, "rfm_orders")
    names = segment_names("rfm_orders")
    found = shop.query("""
        select segment, count(*), cast(sum(frequency) as integer), sum(monetary) from mart.customer_rfm
        where snapshot_date = date '2006-12-31' group by segment
    """)
    _, *expected = records(folder / "expected_segments.csv")
    assert sorted((names[segment], *figures) for segment, *figures in found) == [
        (segment, int(customers), int(orders), Decimal(revenue)) for segment, customers, orders, revenue in expected
    ]
    assert shop.query("select count(*), sum(orders), sum(lifetime_net) from mart.customer_value") == [
        (995, 4_906, Decimal(464_158))
    ]


#: Lines bought and paid for: no credit notes, quantity and price above nought.
BOUGHT_ONLY = {
    "not (starts_with(InvoiceNo, 'A') or (Quantity like '-%' and not starts_with(InvoiceNo, 'C')))": (
        "not (starts_with(InvoiceNo, 'A') or starts_with(InvoiceNo, 'C') or Quantity like '-%')\n"
        "          and try_cast(UnitPrice as decimal(18, 4)) > 0"
    )
}
#: Month ends are what the mart has; the published table looks from 2010-12-11 at midnight, 21 dates before.
DAYS_LATER = 21


def test_online_retails_segments_come_out_of_its_quintiles_and_grid(tmp_path: Path) -> None:
    source = shared("uci_online_retail_2009_10")
    landing = cut(tmp_path / "landing")
    # the year ends with a delivery in which nothing was sold
    first = next(iter(sorted(landing.iterdir())))
    (landing / "online_retail_2010-12-31.csv").write_text(first.read_text().splitlines()[0] + "\n")
    shop = run(tmp_path, landing, "online_retail", BOUGHT_ONLY)
    found = shop.query("""
        select segment, count(*), sum(recency_days), sum(frequency), sum(monetary) from mart.customer_rfm
        where snapshot_date = date '2010-12-31' group by segment
    """)
    _, *expected = records(source / "expected" / "rfm_segments_computed.csv")
    four = Decimal("0.0001")
    means = {
        segment: (
            customers,
            (Decimal(recency) / customers - DAYS_LATER).quantize(four, ROUND_HALF_EVEN),
            (Decimal(frequency) / customers).quantize(four, ROUND_HALF_EVEN),
        )
        for segment, customers, recency, frequency, _ in found
    }
    assert means == {
        segment: (int(customers), Decimal(recency).quantize(four), Decimal(frequency).quantize(four))
        for segment, customers, recency, frequency, _ in expected
    }
    # lines are whole cents in the facts: 14 pieces at a tenth of a penny make a cent in all
    published = {segment: (int(customers), Decimal(monetary)) for segment, customers, _, _, monetary in expected}
    for segment, customers, _, _, monetary in found:
        assert abs(monetary / customers - published[segment][1]) < Decimal("0.01") / customers + four / 2, segment
    assert sum(row[4] for row in found) == Decimal("8832003.26")


def test_the_cut_points_of_online_retail_are_the_quintiles_of_its_recency() -> None:
    """Type 7, right-closed: up to the quintile; a cut point is the first day beyond, counted to the month's end."""
    source = shared("uci_online_retail_2009_10") / "online_retail_II_2009_2010.parquet"
    with duckdb.connect() as con:
        quintiles = con.execute(f"""
            select quantile_cont(days, [0.2, 0.4, 0.6, 0.8]) from (
                select date '2010-12-31' - max(cast(InvoiceDate[:10] as date)) as days from '{source}'
                where CustomerID is not null and InvoiceNo not like 'C%' and Quantity > 0 and UnitPrice > 0 group by CustomerID
            )
        """).fetchall()[0][0]
    with (PROJECT / "examples" / "online_retail" / "seeds" / "rfm_cut_points.csv").open(newline="") as stream:
        points = {int(row["score"]): int(row["cut_point"]) for row in csv.DictReader(stream)}
    assert points == {score: int(quintile) + 1 for score, quintile in zip((5, 4, 3, 2), quintiles, strict=True)}
