"""The first days of a mart: no delivery at all, a table that begins later than the others."""

from datetime import timedelta
from pathlib import Path

from orchestration import drift, raw_zone
from orchestration.extraction import extract, pending_days
from orchestration.quality import validate
from tests.support.world import DAY, NEXT_DAY, csv_text, deliver, raw_rows, sale, sales_contract, settings_in


def test_a_first_run_on_no_data_has_nothing_to_do_and_an_empty_table(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    assert pending_days(settings, {"sales": contract}) == []
    assert list(raw_zone.loaded_days(settings, {"sales": contract})) == []
    assert raw_rows(settings, contract) == []
    partition = extract(settings, contract, [DAY])[DAY]
    assert (partition.failure, partition.rows_read, partition.fingerprint) == (None, 0, "")
    assert all(result.passed for result in validate(settings, contract, [partition]))
    assert list(raw_zone.loaded_days(settings, {"sales": contract})) == []


def test_a_table_that_begins_later_fails_on_the_days_before_only_where_it_is_required(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    deliver(settings, csv_text([sale(1)]), "sales_2024-03-02.csv")
    optional = extract(settings, sales_contract(tmp_path), [DAY, NEXT_DAY])
    assert [(p.loaded, p.rows_loaded) for p in optional.values()] == [(True, 0), (True, 1)]
    required = sales_contract(tmp_path, deliveryRequired=True)
    other = settings_in(tmp_path / "required", landing=settings.landing_dir)
    loaded = extract(other, required, [DAY, NEXT_DAY])
    assert [p.loaded for p in loaded.values()] == [False, True]
    assert extract(other, required, [DAY], accept_missing=True)[DAY].loaded
    assert pending_days(other, {"sales": required}) == []


def test_the_first_weeks_of_a_table_are_not_judged(tmp_path: Path) -> None:
    settings, contract = settings_in(tmp_path), sales_contract(tmp_path)
    days = [DAY + timedelta(weeks=n) for n in range(5)]
    for number, day in enumerate(days):
        deliver(settings, csv_text([sale(n) for n in range(1 + 200 * (number % 2))]), f"sales_{day}.csv")
    known = extract(settings, contract, days)
    assert [len(drift.judge(contract, p, known)) for p in known.values()][:4] == [0, 0, 0, 0]
    assert "volume" in {v.rule for v in drift.judge(contract, known[days[4]], known)}
