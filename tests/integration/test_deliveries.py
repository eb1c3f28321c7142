"""Deliveries that are broken, missing, late, repeated or withdrawn: one sentence, and the next good one heals."""

import gzip
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration import raw_zone
from orchestration.extraction import extract, pending_days
from orchestration.quality import validate
from tests.support.world import (
    DAY,
    NEXT_DAY,
    SALE_COLUMNS,
    SALE_HEADER,
    csv_text,
    deliver,
    load,
    quarantined,
    raw_rows,
    sale,
    sales_contract,
    settings_in,
)

HEADER = ",".join(SALE_HEADER) + "\n"
GOOD = csv_text([sale(1), sale(2)])


def broken_files() -> dict[str, tuple[bytes, str, str]]:
    """Name of the case -> content, ending of the file, what the sentence says."""
    whole = gzip.compress(csv_text([sale(n, note="x" * 50) for n in range(2000)]).encode())
    junk = bytes((n * 97 + n // 7) % 256 for n in range(5000))
    return {
        "empty": (b"", ".csv", "is empty: not even a header line"),
        "blank": (b"\n\n  \n", ".csv", "is empty: not even a header line"),
        "header renamed": (HEADER.replace("amount", "amounts").encode(), ".csv", "Was 'amount' renamed to 'amounts'?"),
        "header of another table": (b"x,y\n1,2\n", ".csv", "lacks column 'id', 'amount', 'qty', 'day', 'shop', 'note'"),
        "no header": (GOOD.split("\n", 1)[1].encode(), ".csv", "its header is S1, 1.50, 1, 2024-03-01, north, note 1"),
        "column twice": (b"id,amount,qty,day,shop,note,ID\n", ".csv", "more than once"),
        "zero bytes": (b"\0" * 4000, ".csv", "zero bytes"),
        "binary": (junk, ".csv", "is not utf-8 text"),
        "endless line": (b"x" * 1_500_000, ".csv", "no end of line within its first 1,000,000 bytes"),
        "mixed line ends": (GOOD.replace("\n", "\r\n", 1).encode(), ".csv", "its lines end in more than one way"),
        "truncated gzip": (whole[: len(whole) // 2], ".csv.gz", "is no whole gzip file"),
        "damaged gzip": (whole[:200] + b"\xff" * 20 + whole[220:], ".csv.gz", "is no whole gzip file"),
        "no gzip": (GOOD.encode(), ".csv.gz", "is no whole gzip file"),
        "no parquet": (junk, ".parquet", "is no readable Parquet file"),
        "empty parquet": (b"", ".parquet", "is no readable Parquet file"),
    }


@pytest.mark.parametrize("case", broken_files())
def test_a_broken_file_fails_its_day_with_one_sentence_and_the_next_good_one_heals(tmp_path: Path, case: str) -> None:
    content, ending, sentence = broken_files()[case]
    settings = settings_in(tmp_path)
    kind = {"format": "parquet" if ending == ".parquet" else "csv"}
    contract = sales_contract(tmp_path, path="sales_{date}" + ending, server=kind)
    path = settings.landing_dir / f"sales_2024-03-01{ending}"
    path.write_bytes(content)
    failed = load(settings, contract)
    assert failed.failure is not None
    assert sentence in failed.failure
    assert failed.failure.startswith(path.name)
    assert "\n" not in failed.failure
    assert (failed.rows_read, raw_rows(settings, contract)) == (0, [])
    assert pending_days(settings, {"sales": contract}) == [DAY]
    if ending == ".parquet":
        duckdb.read_csv(str(deliver(settings, GOOD, "good.csv"))).write_parquet(str(path))
    else:
        deliver(settings, GOOD, path.name)
    assert (load(settings, contract).failure, len(raw_rows(settings, contract))) == (None, 2)
    assert pending_days(settings, {"sales": contract}) == []


def test_a_broken_file_leaves_the_other_days_of_its_run_alone(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD.replace("\n", "\r\n", 1) + "short\n")
    deliver(settings, csv_text([sale(3)]) + "short\n", "sales_2024-03-02.csv")
    partitions = extract(settings, contract, [DAY, NEXT_DAY])
    assert [p.loaded for p in partitions.values()] == [False, True]
    assert raw_rows(settings, contract, "sale_id") == [("S3",)]
    assert quarantined(settings, contract, "file, line") == [("sales_2024-03-02.csv", 3)]


def test_a_parquet_file_without_a_captured_column_fails_its_day_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}.parquet", server={"format": "parquet"})
    good = duckdb.read_csv(str(deliver(settings, GOOD, "good.csv")))
    good.write_parquet(str(settings.landing_dir / "sales_2024-03-02.parquet"))
    good.select("id, amount as total, qty, day, shop, note").write_parquet(
        str(settings.landing_dir / "sales_2024-03-01.parquet")
    )
    partitions = extract(settings, contract, [DAY, NEXT_DAY])
    assert "lacks column 'amount'" in str(partitions[DAY].failure)
    assert partitions[NEXT_DAY].rows_loaded == 2


def test_a_delivery_that_does_not_fit_an_expression_fails_its_day_alone(tmp_path: Path) -> None:
    columns = [dict(c) for c in SALE_COLUMNS]
    del columns[1]["physicalName"]
    columns[1]["customProperties"] = [{"property": "expression", "value": "cast(price as decimal(18,2)) * 2"}]
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, columns)
    deliver(settings, GOOD)
    deliver(settings, GOOD.replace("amount", "price"), "sales_2024-03-02.csv")
    deliver(settings, GOOD.replace("amount", "price").replace("1.50", "secret"), "sales_2024-03-03.csv")
    days = [DAY, NEXT_DAY, NEXT_DAY.replace(day=3)]
    first, second, third = extract(settings, contract, days).values()
    assert 'Referenced column "price" not found' in str(first.failure)
    assert second.rows_loaded == 2
    assert "cannot be read to its end" in str(third.failure)
    assert "secret" not in str(third.failure)


def test_a_header_alone_is_a_delivery_without_rows(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, HEADER)
    partition = load(settings, contract)
    assert (partition.failure, partition.rows_read) == (None, 0)
    assert pending_days(settings, {"sales": contract}) == []


@pytest.mark.parametrize("name", ["sales_2024-03-01.jsonl", "sales_2024-03-01.jsonl.gz"])
def test_json_lines_without_a_line_are_a_day_without_events(tmp_path: Path, name: str) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales_{date}" + name[16:], server={"format": "jsonl"})
    deliver(settings, "", name)
    partition = load(settings, contract)
    assert (partition.failure, partition.rows_read) == (None, 0)


def test_a_required_delivery_that_is_missing_fails_and_an_optional_one_does_not(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    failure = load(settings, sales_contract(tmp_path, deliveryRequired=True)).failure
    assert failure is not None
    assert failure.startswith("no delivery of sales for 2024-03-01: nothing at sales_{date}.csv")
    assert load(settings, sales_contract(tmp_path)).failure is None


def test_a_missing_delivery_can_be_accepted_and_comes_in_when_it_arrives_after_all(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, deliveryRequired=True)
    assert "--accept-missing" in str(load(settings, contract).failure)
    accepted = extract(settings, contract, [DAY], accept_missing=True)[DAY]
    assert (accepted.failure, accepted.rows_read) == (None, 0)
    assert load(settings, contract).failure is None
    deliver(settings, GOOD)
    assert pending_days(settings, {"sales": contract}) == [DAY]
    assert load(settings, contract).rows_loaded == 2


def test_days_loaded_by_other_rules_are_stale_and_not_pending_whatever_the_version_says(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD)
    deliver(settings, GOOD, "sales_2024-03-02.csv")
    load(settings, contract, DAY, NEXT_DAY)
    reworded = tuple(replace(c, description="Other words.", classification="internal") for c in contract.columns)
    unchanged = replace(contract, version="1.1.0", columns=reworded, purpose="Another.", tolerated_share=0.1, drift=())
    assert raw_zone.stale_days(settings, unchanged) == []
    for newer in (
        replace(contract, decimal_sign=","),
        replace(contract, where="shop = 'north'"),
        replace(contract, columns=(*contract.columns[:-1], replace(contract.columns[-1], expression="upper(note)"))),
        replace(contract, columns=(replace(contract.columns[0], rules=()), *contract.columns[1:])),
    ):
        assert pending_days(settings, {"sales": newer}) == []
        assert raw_zone.stale_days(settings, newer) == [DAY, NEXT_DAY]
    check = {r.name: r for r in validate(settings, newer, [load(settings, newer)])}["contract_applied"]
    assert (check.passed, check.blocking, check.figures["rows"]) == (False, False, 1)
    assert check.figures["found"] == (
        "sales: 1 day of 2024-03-02 to 2024-03-02 loaded before the columns, types, rules or expressions of "
        "sales.yaml changed; `fidelis run --from 2024-03-02 --to 2024-03-02` loads them again"
    )
    load(settings, newer, NEXT_DAY)
    assert raw_zone.stale_days(settings, newer) == []
    # days loaded before a column was added are read all the same: its values are unknown
    wider = replace(newer, columns=(*newer.columns, replace(newer.columns[-1], name="remark", header=None)))
    assert raw_zone.stale_days(settings, wider) == [DAY, NEXT_DAY]
    with duckdb.connect() as con:
        said = con.execute(f"select count(*), count(shop), count(remark) from ({raw_zone.relation(settings, wider)})")
        assert said.fetchall() == [(4, 4, 0)]


def test_a_new_column_is_named_by_a_warning_and_not_loaded(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1) | {"cashier": "Zoe"}], (*sale(1), "cashier")))
    partition = load(settings, contract)
    assert partition.loaded
    check = {r.name: r for r in validate(settings, contract, [partition])}["columns_captured"]
    assert (check.passed, check.blocking, check.figures["columns"]) == (False, False, "cashier")


def test_a_leap_day_is_a_delivery_day_like_any_other(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    leap = date(2024, 2, 29)
    deliver(settings, csv_text([sale(1, day="2024-02-29"), sale(2, day="2023-02-29")]), "sales_2024-02-29.csv")
    assert pending_days(settings, {"sales": contract}) == [leap]
    assert load(settings, contract, leap).rows_loaded == 1
    assert raw_rows(settings, contract, "sold_on, _delivery_date") == [(leap, leap)]
    assert quarantined(settings, contract) == [(3, "sold_on_type")]


def test_the_state_of_the_raw_zone_changes_when_a_delivery_is_loaded_and_at_no_other_time(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)

    def state_after(content: str | None) -> str:
        path = deliver(settings, content or "")
        if content is None:
            path.unlink()
        load(settings, contract)
        return raw_zone.state(settings, {"sales": contract})

    first, withdrawn, second = state_after(GOOD), state_after(None), state_after(csv_text([sale(3)]))
    assert first == withdrawn
    assert first != second


def test_a_day_without_any_delivery_does_not_count_as_loaded(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD)
    load(settings, contract, DAY, NEXT_DAY)
    assert list(raw_zone.loaded_days(settings, {"sales": contract})) == [DAY]


def test_a_delivery_with_too_many_bad_rows_is_refused_and_the_last_good_one_stays(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, toleratedBadRows=0.25, toleratedBadRowsAtLeast=0)
    deliver(settings, GOOD)
    load(settings, contract)
    rows = [sale(1), sale(2), sale(3), sale(3), sale(4, shop="west"), sale(5, shop="west")]
    deliver(settings, csv_text(rows))
    refused = load(settings, contract)
    assert refused.failure == (
        "sales of 2024-03-01: 2 of 6 rows are bad, more than the tolerated 25.0% or 0 rows (shop_allowed 2)"
    )
    assert (refused.rows_read, refused.rows_loaded, refused.rows_quarantined) == (6, 0, 2)
    assert (refused.rows_duplicate, refused.rows_refused) == (1, 3)
    assert raw_rows(settings, contract, "sale_id") == [("S1",), ("S2",)]
    assert quarantined(settings, contract, "line") == [(6,), (7,)]
    deliver(settings, csv_text([sale(7)]))
    assert load(settings, contract).loaded
    assert raw_rows(settings, contract, "sale_id") == [("S7",)]


def test_exactly_the_tolerated_share_is_accepted(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, toleratedBadRows=0.25, toleratedBadRowsAtLeast=0)
    deliver(settings, csv_text([sale(1), sale(2), sale(3), sale(4, shop="west")]))
    assert load(settings, contract).loaded


def test_a_few_bad_rows_are_tolerated_in_a_small_delivery(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, toleratedBadRows=0, toleratedBadRowsAtLeast=1)
    deliver(settings, csv_text([sale(1, shop="west")]))
    assert load(settings, contract).loaded


def test_an_unreadable_file_after_a_good_one_leaves_the_good_rows(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD)
    load(settings, contract)
    path = deliver(settings, b"")
    assert not load(settings, contract).loaded
    assert len(raw_rows(settings, contract)) == 2
    path.unlink()
    load(settings, contract)
    assert len(raw_rows(settings, contract)) == 2


def test_a_delivery_removed_from_the_landing_folder_keeps_its_rows(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, deliveryRequired=True)
    deliver(settings, GOOD)
    first = load(settings, contract)
    shutil.rmtree(settings.landing_dir)
    assert load(settings, contract) == first
    assert len(raw_rows(settings, contract)) == 2


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_a_broken_delivery_that_is_withdrawn_leaves_the_good_one_as_if_nothing_had_been(
    tmp_path: Path, required: bool, times: int
) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, deliveryRequired=required)
    contracts = {"sales": contract}
    deliver(settings, csv_text([sale(1), sale(2), sale(3, shop="west")]))
    good, rows = load(settings, contract), raw_rows(settings, contract)
    state, held = raw_zone.state(settings, contracts), quarantined(settings, contract)
    for attempt in range(times):
        broken = deliver(settings, csv_text([sale(n, qty="x") for n in range(20 + attempt)]))
        assert load(settings, contract).failure is not None
        assert pending_days(settings, contracts) == [DAY]
        assert (raw_rows(settings, contract), raw_zone.state(settings, contracts)) == (rows, state)
        assert max(raw_zone.loaded_days(settings, contracts)) == DAY
    broken.unlink()
    assert load(settings, contract) == good
    assert pending_days(settings, contracts) == []
    assert (raw_rows(settings, contract), raw_zone.state(settings, contracts)) == (rows, state)
    assert quarantined(settings, contract) == held


def test_a_broken_first_delivery_that_is_withdrawn_is_a_missing_one(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, deliveryRequired=True)
    broken = deliver(settings, b"")
    assert "is empty" in str(load(settings, contract).failure)
    broken.unlink()
    assert str(load(settings, contract).failure).startswith("no delivery of sales for 2024-03-01")


def test_a_delivery_written_again_is_pending_and_replaces_its_day(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD)
    deliver(settings, csv_text([sale(9)]), "sales_2024-03-02.csv")
    load(settings, contract, DAY, NEXT_DAY)
    assert pending_days(settings, {"sales": contract}) == []
    deliver(settings, csv_text([sale(1, amount="7.00"), sale(3), sale(4)]))
    assert pending_days(settings, {"sales": contract}) == [DAY]
    load(settings, contract)
    assert [row[0] for row in raw_rows(settings, contract, "sale_id")] == ["S1", "S3", "S4", "S9"]
    assert len(list(settings.raw_dir.rglob("*.parquet"))) == 2


def test_days_before_the_first_day_and_after_the_last_are_not_pending(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    for day in ("2023-12-31", "2024-01-01", "2024-03-01", "2024-03-02"):
        deliver(settings, GOOD, f"sales_{day}.csv")
    assert pending_days(settings, {"sales": contract}, DAY) == [settings.first_day, DAY]


def test_a_whole_file_with_a_fixed_delivery_date_is_one_delivery(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, path="sales.csv", deliveryDate="2024-03-01")
    deliver(settings, GOOD, "sales.csv")
    load(settings, contract)
    assert raw_rows(settings, contract, "distinct _delivery_date") == [(DAY,)]


def test_nothing_is_left_in_the_scratch_folder(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, GOOD + "short\n")
    load(settings, contract)
    assert list(raw_zone.scratch_dir(settings).iterdir()) == []


def test_what_an_index_names_was_written_to_the_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2, amount="much")]))
    synced: list[int] = []

    def watched(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        synced.append(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    load(settings, contract)
    index = (settings.raw_dir / "sales" / "_partitions.json").stat().st_ino
    for zone in (settings.raw_dir, settings.quarantine_dir):
        files = list(zone.rglob("*.parquet"))
        assert files
        for path in (*files, *(f.parent for f in files)):
            assert synced.index(path.stat().st_ino) < synced.index(index)
