"""A raw zone that no longer holds what its index says stops the night before the release."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.e2e.conftest import Retailer, copy_of


@pytest.mark.slow
def test_a_wrong_index_and_a_wrong_file_leave_the_release_as_it_was(retailer: Retailer, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    shutil.copytree(retailer.landing, landing, ignore=shutil.ignore_patterns("truth"))
    night = Retailer(copy_of(retailer, tmp_path / "home").home, {"FIDELIS_LANDING": str(landing)})
    night.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-03")
    before = night.release_id()
    index = night.home / "raw" / "orders" / "_partitions.json"
    good = index.read_text()

    entries = json.loads(good)
    entries["2023-01-01"]["rows_read"] += 1
    index.write_text(json.dumps(entries))
    refused = night.fidelis("run", "--date", "2023-01-04", expect=1)
    assert "test account_read_to_raw found 1 rows that break it" in " ".join(refused.stderr.split())
    assert night.release_id() == before

    index.write_text(good)
    file = night.home / "raw" / "orders" / json.loads(good)["2023-01-02"]["data"][0]
    (landing / "shop" / "orders_2023-01-02.csv").unlink()
    with duckdb.connect() as con:
        con.execute(f"create table kept as from read_parquet('{file}') limit 1")
        con.execute(f"copy kept to '{file}' (format parquet)")
    refused = night.fidelis("run", "--date", "2023-01-02", expect=1)
    assert "rows_stored failed" in " ".join(refused.stderr.split())
    assert night.release_id() == before
