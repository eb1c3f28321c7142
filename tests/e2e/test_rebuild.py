"""A past release built anew, from deliveries known then: identities, RFM, values and all else as published then."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.e2e.conftest import Retailer

JANUARY = "select * from mart.customer_rfm_monthly where snapshot_date = date '2023-01-31' order by customer_id"


@pytest.mark.slow
def test_a_month_rebuilt_later_is_the_month_built_then(tmp_path: Path) -> None:
    retailer = Retailer(tmp_path / "home", {})
    retailer.fidelis(
        "sample", "--customers", "150", "--start", "2023-01-01", "--end", "2023-03-05", "--seed", "11", "--dirt", "0.01",
        "--out", str(retailer.landing),
    )  # fmt: skip
    late = next(iter(sorted((retailer.landing / "shop").glob("returns_2023-01-2*.csv"))))
    held_back = shutil.move(late, tmp_path / late.name)
    retailer.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-31")
    then, published, people = (
        retailer.query(JANUARY),
        retailer.release_id(),
        retailer.query("from mart.dim_customer order by all"),
    )
    assert then

    # what is delivered since, a return of January among it, changes customers and the snapshot of January
    shutil.move(held_back, late)
    retailer.fidelis("run")
    assert retailer.query(JANUARY) != then
    assert retailer.query("from mart.dim_customer order by all") != people
    retailer.fidelis("run", "--full-refresh")
    now = retailer.content()

    done = retailer.fidelis("rebuild", "2023-01", "--out", str(tmp_path / "then"))
    assert f"release {published}" in done.stdout
    assert "tables are what was published then" in done.stdout
    with duckdb.connect(str(tmp_path / "then" / "datamart.duckdb"), read_only=True) as con:
        assert con.execute(JANUARY).fetchall() == then
        assert con.execute("from mart.dim_customer order by all").fetchall() == people
    assert [p.name for p in (tmp_path / "then").iterdir()] == ["datamart.duckdb"]
    assert retailer.content() == now

    # a delivery of then that was replaced since cannot be had again: it is named, and nothing is built
    lines = late.read_text().splitlines(keepends=True)
    first = next(iter(sorted((retailer.landing / "shop").glob("returns_2023-01-*.csv"))))
    first.write_text("".join(first.read_text().splitlines(keepends=True)[:1] + lines[1:]))
    retailer.fidelis("run")
    refused = retailer.fidelis("rebuild", published, "--out", str(tmp_path / "again"), expect=1)
    assert f"returns of {first.stem.removeprefix('returns_')}" in refused.stderr
    assert not (tmp_path / "again").exists()
