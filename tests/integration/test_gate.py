"""The gate: each rule of a contract is a check, warnings let pass, and no figure shows a row's value."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import great_expectations.expectations as gxe
import pytest

from orchestration.contracts import Contract, default_contracts
from orchestration.extraction import extract
from orchestration.quality import CheckResult, check_specs, custom, suites, validate, write_data_docs
from orchestration.raw_zone import Partition
from orchestration.settings import Settings
from tests.support.world import (
    DAY,
    NEXT_DAY,
    csv_text,
    deliver,
    load,
    sale,
    sales_contract,
    settings_in,
)

SECRET = "anna.tester@example.com"


def judge(settings: Settings, contract: Contract, *days: date) -> dict[str, CheckResult]:
    partitions = extract(settings, contract, days or (DAY,))
    return {result.name: result for result in validate(settings, contract, list(partitions.values()))}


@pytest.fixture
def world(tmp_path: Path) -> tuple[Settings, Contract]:
    return settings_in(tmp_path), sales_contract(tmp_path)


def test_every_rule_of_every_default_contract_is_a_check_with_a_sentence() -> None:
    for contract in default_contracts().values():
        specs = {s.name: s for s in check_specs(contract)}
        checked = {r.name for r in contract.rules} - {
            f"{c.name}_type" for c in contract.columns if c.logical_type == "string" and contract.format != "parquet"
        }
        assert checked <= set(specs)
        assert all(s.description for s in specs.values())
        assert {s.name for s in specs.values() if s.blocking} == {
            "delivered",
            "rows_accounted",
            "rows_stored",
            "bad_rows_tolerated",
        }


def test_a_clean_delivery_passes_every_check(world: tuple[Settings, Contract]) -> None:
    deliver(world[0], csv_text([sale(1), sale(2)]))
    results = judge(*world)
    assert set(results) == {s.name for s in check_specs(world[1])}
    assert all(r.passed for r in results.values())
    assert results["amount_minimum"].figures == {"days": 1, "days_failing": 0, "rows": 0}


def test_a_broken_rule_is_a_warning_with_its_days_and_rows(world: tuple[Settings, Contract]) -> None:
    deliver(world[0], csv_text([sale(1), sale(2, amount="-1"), sale(3, amount="-2"), sale(4, shop="west")]))
    deliver(world[0], csv_text([sale(5), sale(6)]), "sales_2024-03-02.csv")
    results = judge(*world, DAY, NEXT_DAY)
    assert {name for name, r in results.items() if not r.passed} == {"amount_minimum", "shop_allowed"}
    assert not results["amount_minimum"].blocking
    assert results["amount_minimum"].figures == {
        "days": 2,
        "days_failing": 1,
        "rows": 2,
        "first_days_failing": "2024-03-01",
    }


def test_malformed_records_and_conflicting_keys_are_warnings(world: tuple[Settings, Contract]) -> None:
    deliver(world[0], csv_text([sale(1), sale(2), sale(2, amount="7.00")]) + "short\n")
    results = judge(*world)
    assert {name for name, r in results.items() if not r.passed} == {"malformed_record", "conflicting_key"}
    assert results["conflicting_key"].figures["rows"] == 2


def test_too_many_bad_rows_block(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, toleratedBadRows=0.25, toleratedBadRowsAtLeast=0)
    deliver(settings, csv_text([sale(1), sale(2, amount="-1"), sale(3)]))
    result = judge(settings, contract)["bad_rows_tolerated"]
    assert (result.passed, result.blocking, result.figures["rows"]) == (False, True, 1)
    assert result.description == "at most 25.0% of the rows, or 0 rows, are bad"


@pytest.mark.parametrize("content", [None, b"", b"x,y\n1,2\n"])
def test_a_delivery_that_is_missing_or_unreadable_blocks_and_says_why(tmp_path: Path, content: bytes | None) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path, deliveryRequired=True)
    if content is not None:
        deliver(settings, content)
    results = judge(settings, contract)
    assert {name for name, r in results.items() if not r.passed} == {"delivered"}
    assert results["delivered"].blocking
    assert results["delivered"].figures["reasons"] == extract(settings, contract, [DAY])[DAY].failure


def test_rows_that_are_not_accounted_for_block(world: tuple[Settings, Contract]) -> None:
    deliver(world[0], csv_text([sale(1), sale(2)]))
    partition = replace(load(*world), rows_loaded=1)
    results = {r.name: r for r in validate(*world, [partition])}
    assert not results["rows_accounted"].passed
    assert results["rows_accounted"].blocking


def test_the_account_shows_its_numbers_and_the_day_that_fails(world: tuple[Settings, Contract]) -> None:
    deliver(world[0], csv_text([sale(1), sale(1), sale(2), sale(3, shop="west")]))
    deliver(world[0], csv_text([sale(4), sale(5)]), "sales_2024-03-02.csv")
    partitions = list(extract(*world, [DAY, NEXT_DAY]).values())
    passed = {r.name: r for r in validate(*world, partitions)}
    numbers = {"rows_read": 6, "rows_loaded": 4, "rows_quarantined": 1, "rows_duplicate": 1}
    numbers |= {"rows_elsewhere": 0, "rows_refused": 0}
    assert passed["rows_accounted"].figures == {"days": 2, "days_failing": 0, **numbers, "rows": 0}
    failed = {r.name: r for r in validate(*world, [partitions[0], replace(partitions[1], rows_read=3)])}
    assert failed["rows_accounted"].figures["first_days_failing"] == "2024-03-02"
    assert failed["rows_accounted"].figures["rows"] == 1


def test_parquet_that_lost_rows_is_cut_off_or_is_gone_blocks(world: tuple[Settings, Contract]) -> None:
    settings, contract = world
    deliver(settings, csv_text([sale(1), sale(2), sale(3)]))
    deliver(settings, csv_text([sale(4), sale(5)]), "sales_2024-03-02.csv")
    partitions = list(extract(settings, contract, [DAY, NEXT_DAY]).values())
    file = settings.raw_dir / "sales" / partitions[0].data[0]
    whole = file.read_bytes()

    def stored() -> CheckResult:
        return next(r for r in validate(settings, contract, partitions) if r.name == "rows_stored")

    assert stored().passed
    assert stored().figures == {
        "days": 2, "days_failing": 0, "rows_loaded": 5, "rows_in_index": 5, "rows_on_disk": 5, "rows": 0
    }  # fmt: skip
    with duckdb.connect() as con:
        rows = con.execute("select * from read_parquet($1) limit 2", [str(file)]).to_arrow_table()
        con.execute(f"copy (select * from rows) to '{file}' (format parquet)")
    assert (stored().passed, stored().blocking, stored().figures["rows_on_disk"], len(rows)) == (False, True, 4, 2)
    file.write_bytes(whole[:-20])
    assert stored().figures["first_days_failing"] == "2024-03-01"
    file.unlink()
    assert not stored().passed


def test_a_refused_delivery_leaves_the_rows_of_the_good_one_in_the_account(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path, toleratedBadRows=0.0, toleratedBadRowsAtLeast=0)
    deliver(settings, csv_text([sale(1), sale(2)]))
    load(settings, contract)
    deliver(settings, csv_text([sale(1), sale(2), sale(3, amount="-1")]))
    results = judge(settings, contract)
    assert results["rows_stored"].passed
    assert (results["rows_stored"].figures["rows_loaded"], results["rows_stored"].figures["rows_on_disk"]) == (0, 2)
    assert results["rows_accounted"].figures["rows_refused"] == 2


def test_every_failing_day_of_a_long_window_is_counted(world: tuple[Settings, Contract]) -> None:
    partitions = [Partition(DAY.replace(day=n), 2, 1, 1, violations={"shop_allowed": 1}) for n in range(1, 32)]
    result = next(r for r in validate(*world, partitions) if r.name == "shop_allowed")
    assert (result.figures["days_failing"], result.figures["rows"]) == (31, 31)
    assert result.figures["first_days_failing"].startswith("2024-03-01, 2024-03-02")


def test_no_figure_and_no_page_shows_a_value_of_a_row(world: tuple[Settings, Contract]) -> None:
    settings, contract = world
    rows = [
        sale(1, note=SECRET),
        sale(2, shop=SECRET),
        sale(3, day=SECRET),
        sale(4, amount=SECRET),
        sale(5),
        sale(5, note=SECRET),
    ]
    deliver(settings, csv_text(rows) + SECRET + "\n")
    results = judge(settings, contract)
    assert sum(not r.passed for r in results.values()) == 6  # the five rules, and too many bad rows
    write_data_docs(settings)
    pages = [p.read_text(errors="replace") for p in settings.data_docs_dir.rglob("*.html")]
    assert any("shop_allowed" in page for page in pages)
    index = (settings.raw_dir / "sales" / "_partitions.json").read_text()
    for text in (str(results), index, *pages):
        assert SECRET not in text


def test_the_profile_measures_personal_columns_by_their_nulls_alone(world: tuple[Settings, Contract]) -> None:
    settings, contract = world
    deliver(
        settings,
        csv_text(
            [sale(1, note=SECRET), sale(2, note=""), sale(3, shop="south", amount="9.50", qty=""), sale(4, shop="west")]
        ),
    )
    profile = {name: dict(figures) for name, figures in load(settings, contract).profile.items()}
    assert 1.5 <= profile["amount"].pop("median") <= 9.5  # an approximation
    assert 1 <= profile["quantity"].pop("median") <= 4
    assert profile == {
        "sale_id": {"nulls": 0},
        "amount": {"nulls": 0, "minimum": 1.5, "maximum": 9.5},
        "quantity": {"nulls": 1, "minimum": 1.0, "maximum": 4.0},
        "sold_on": {"nulls": 0, "minimum": "2024-03-01", "maximum": "2024-03-01"},
        "shop": {"nulls": 0, "categories": {"north": 2, "south": 1, "not allowed": 1}},
        "note": {"nulls": 1},
    }


def native(settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch, *, blocking: bool) -> CheckResult:
    """The result of a user's own expectation, that most amounts are above two, beside one on a column not captured."""

    def build() -> gxe.ExpectColumnValuesToBeBetween:
        return gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=2, mostly=0.6)

    checks = (
        custom.NativeCheck(
            "amounts_above_two", "sales", ("amount", "note"), blocking, "Most amounts are above 2.", build
        ),
        custom.NativeCheck("not_delivered", "sales", ("unheard_of",), True, "A column that is not captured.", build),
    )
    monkeypatch.setattr(suites, "NATIVE_CHECKS", checks)
    assert [(s.name, s.blocking) for s in check_specs(contract)][-1] == ("amounts_above_two", blocking)
    return judge(settings, contract)["amounts_above_two"]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_users_own_expectation_judges_the_loaded_rows(
    world: tuple[Settings, Contract], monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    deliver(world[0], csv_text([sale(1), sale(2), sale(3), sale(9, shop="west")]))
    result = native(*world, monkeypatch, blocking=blocking)
    assert (result.passed, result.blocking) == (True, blocking)
    assert (result.figures["element_count"], result.figures["unexpected_count"]) == (3.0, 1.0)
    deliver(world[0], csv_text([sale(1), sale(2, amount="1.99"), sale(3)]))
    assert not native(*world, monkeypatch, blocking=blocking).passed


def test_a_users_own_expectation_passes_where_there_is_no_row(
    world: tuple[Settings, Contract], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = native(*world, monkeypatch, blocking=True)
    assert (result.passed, result.figures) == (True, {"rows": 0})


def test_the_pages_of_a_users_own_expectation_show_no_value_either(
    world: tuple[Settings, Contract], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, contract = world
    deliver(settings, csv_text([sale(1, amount="0.77"), sale(2, amount="0.77"), sale(3)]))
    assert not native(settings, contract, monkeypatch, blocking=False).passed
    write_data_docs(settings)
    assert all("0.77" not in p.read_text(errors="replace") for p in settings.data_docs_dir.rglob("*.html"))


def test_the_example_of_a_users_check_finds_prices_in_cents(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), default_contracts()["order_lines"]
    for factor, passed in ((1, True), (100, False)):
        lines = "".join(f"L{n},O1,P1,1,{price * factor:.2f},0,0.2\n" for n, price in enumerate((8, 19.99, 45)))
        deliver(
            settings,
            "line_id,order_no,sku,qty,unit_price,discount,tax_rate\n" + lines,
            "shop/order_lines_2024-03-01.csv",
        )
        result = judge(settings, contract)["unit_price_is_not_in_cents"]
        assert (result.passed, result.blocking) == (passed, False)
        assert result.figures["observed_value"] == pytest.approx(19.99 * factor)
