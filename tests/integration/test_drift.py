"""A delivery that is not as on past weekdays: found in the sample, never on its clean days, and refused where so declared."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration import raw_zone
from orchestration.contracts import Contract, ContractError, default_contracts
from orchestration.drift import judge
from orchestration.extraction import extract, pending_days
from orchestration.quality import validate
from orchestration.rules import DRIFT_RULES, DriftRule
from orchestration.sample import generate
from orchestration.settings import Settings
from tests.support.world import csv_text, deliver, load, raw_rows, sale, sales_contract, settings_in

FIRST, LAST = date(2023, 1, 22), date(2023, 3, 11)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
ORDERS, LINES = f"shop/orders_{LAST}.csv", f"shop/order_lines_{LAST}.csv"
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Retailer:
    """Seven weeks of the sample retailer, loaded; a test works on copies of the tables that it changes."""

    settings: Settings

    def copy(self, folder: Path, table: str, name: str, change: Callable[[Rows], Rows]) -> tuple[Settings, Contract]:
        """Deliver file ``name`` once more, its rows changed."""
        settings = settings_in(folder, first_day=FIRST)
        shutil.copytree(self.settings.raw_dir / table, settings.raw_dir / table)
        with open(self.settings.landing_dir / name, newline="") as stream:
            reader = csv.DictReader(stream)
            rows, header = list(reader), reader.fieldnames or []
        deliver(settings, csv_text(change(rows), header), name)
        return settings, default_contracts()[table]


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    settings = settings_in(tmp_path_factory.mktemp("retailer"), first_day=FIRST)
    generate(settings.landing_dir, customers=12000, start=FIRST, end=LAST, seed=7, dirt=0)
    for contract in default_contracts().values():
        extract(settings, contract, DAYS)
    return Retailer(settings)


def alarms(settings: Settings, contract: Contract) -> dict[str, str]:
    """Load the last day; the drift checks that fail, with what they found."""
    partition = extract(settings, contract, [LAST])[LAST]
    results = validate(settings, contract, [partition])
    return {r.name: r.figures["found"] for r in results if not r.passed and r.name.startswith("usual_")}


def test_clean_deliveries_raise_hardly_an_alarm_and_none_that_stops(retailer: Retailer) -> None:
    """The sample begins from nothing, so that its returns still grow from week to week: one warning of 300 is borne."""
    judged, drifts = 0, []
    for table, contract in default_contracts().items():
        known = raw_zone.partitions(retailer.settings, table)
        for partition in known.values():
            verdicts = judge(contract, partition, known)
            drifts += [(table, partition.day, v) for v in verdicts if v.is_drift]
            judged += len(verdicts)
    assert judged > 300
    assert len(drifts) <= judged // 300, drifts
    assert not any(verdict.blocking for _, _, verdict in drifts)


def test_half_of_the_rows_are_missed(retailer: Retailer, tmp_path: Path) -> None:
    found = alarms(*retailer.copy(tmp_path, "orders", ORDERS, lambda rows: rows[::2]))
    assert set(found) == {"usual_volume"}
    assert found["usual_volume"].startswith("Sat 2023-03-11: ")
    assert " are usual, " in found["usual_volume"]


def test_a_category_that_is_gone_is_missed(retailer: Retailer, tmp_path: Path) -> None:
    found = alarms(
        *retailer.copy(tmp_path, "orders", ORDERS, lambda rows: [r for r in rows if r["status"] != "completed"])
    )
    assert "status: no row has the usual completed" in found["usual_category_share"]


def test_a_jump_of_empty_values_is_seen(retailer: Retailer, tmp_path: Path) -> None:
    found = alarms(
        *retailer.copy(
            tmp_path, "orders", ORDERS, lambda rows: [r | {"customer_no": ""} for r in rows[::2]] + rows[1::2]
        )
    )
    assert set(found) == {"usual_null_share"}
    assert "customer_id: 5" in found["usual_null_share"]


def test_prices_in_cents_are_seen(retailer: Retailer, tmp_path: Path) -> None:
    def in_cents(rows: Rows) -> Rows:
        return [r | {"unit_price": str(round(float(r["unit_price"]) * 100))} for r in rows]

    found = alarms(*retailer.copy(tmp_path, "order_lines", LINES, in_cents))
    assert set(found) == {"usual_median"}
    assert found["usual_median"].startswith("Sat 2023-03-11: unit_price: the median is ")


def test_an_unchanged_delivery_raises_no_alarm(retailer: Retailer, tmp_path: Path) -> None:
    assert alarms(*retailer.copy(tmp_path, "orders", ORDERS, lambda rows: rows)) == {}


# ------------------------------------------------------------------ the table of sales, by hand: 400 rows each Friday

FRIDAY = date(2024, 3, 1)


def fridays(settings: Settings, contract: Contract, *rows: int) -> list[date]:
    """Deliver so many rows on successive Fridays, the last of them FRIDAY, and return these days."""
    days = [FRIDAY - timedelta(weeks=n) for n in range(len(rows))][::-1]
    for day, count in zip(days, rows, strict=True):
        deliver(settings, csv_text([sale(n) for n in range(count)]), f"sales_{day}.csv")
    return days


def volume(severity: str = "error", **options: float) -> list[dict[str, object]]:
    return [
        {
            "name": "volume",
            "type": "custom",
            "engine": "pastWeekdays",
            "severity": severity,
            **({"implementation": options} if options else {}),
        }
    ]


def sales(
    tmp_path: Path, *rows: int, severity: str = "error", **options: float
) -> tuple[Settings, Contract, list[date]]:
    settings = settings_in(tmp_path, first_day=date(2023, 12, 1))
    contract = sales_contract(tmp_path, quality=volume(severity, **options))
    return settings, contract, fridays(settings, contract, *rows)


def test_a_blocking_rule_refuses_the_delivery_until_somebody_accepts_it(tmp_path: Path) -> None:
    settings, contract, days = sales(tmp_path, 400, 380, 420, 400, 190)
    refused = extract(settings, contract, days)[FRIDAY]
    assert refused.failure == (
        "sales of 2024-03-01 is not as on past Fridays: 190 rows; 400 are usual, 280 to 1,200 are tolerated "
        "(if it is right, run the day with --accept-drift)"
    )
    assert (refused.rows_read, refused.rows_loaded, refused.rows_refused) == (190, 0, 190)
    assert pending_days(settings, {"sales": contract}) == [FRIDAY]
    failing = [r for r in validate(settings, contract, [refused]) if not r.passed]
    assert [(r.name, r.blocking) for r in failing] == [("usual_volume", True)]

    accepted = extract(settings, contract, [FRIDAY], accept_drift=True)[FRIDAY]
    assert (accepted.failure, accepted.rows_loaded, accepted.drift) == (None, 190, "accepted")
    assert all(r.passed for r in validate(settings, contract, [accepted]))
    assert load(settings, contract, FRIDAY).loaded  # the same files again: still accepted

    fridays(settings, contract, 180)
    assert load(settings, contract, FRIDAY).drift == "refused"
    assert len(raw_rows(settings, contract, "1", f"_delivery_date = '{FRIDAY}'")) == 190


def test_a_warning_lets_the_delivery_pass(tmp_path: Path) -> None:
    settings, contract, days = sales(tmp_path, 400, 380, 420, 400, 190, severity="warning")
    loaded = extract(settings, contract, days)[FRIDAY]
    assert (loaded.failure, loaded.rows_loaded, loaded.drift) == (None, 190, "")
    failing = [r for r in validate(settings, contract, [loaded]) if not r.passed]
    assert [(r.name, r.blocking) for r in failing] == [("usual_volume", False)]


@pytest.mark.parametrize(
    ("rows", "options", "is_drift"),
    [
        ((400, 400, 400, 190), {}, False),  # three weeks are too short a past
        ((400, 400, 400, 190), {"minimumWeeks": 3}, True),
        ((400, 400, 400, 400, 290), {}, False),
        ((400, 400, 400, 400, 250), {"tolerance": 0.5}, False),
        ((400, 400, 400, 400, 1100), {}, False),
        ((400, 400, 400, 400, 1100), {"growth": 2}, True),
        ((9000, 400, 400, 400, 400, 190), {}, True),  # one odd week moves no median
        ((400, 400, 900, 900, 900, 400), {"weeks": 3, "minimumWeeks": 3}, True),
        ((10, 12, 9, 10, 1), {}, False),  # in so small a table, chance alone does that
        ((10, 12, 9, 10, 60), {}, True),
    ],
)
def test_rows_are_held_against_the_same_weekday(
    tmp_path: Path, rows: tuple[int, ...], options: dict[str, float], is_drift: bool
) -> None:
    settings, contract, days = sales(tmp_path, *rows, severity="warning", **options)
    known = extract(settings, contract, days)
    assert [v.is_drift for v in judge(contract, known[FRIDAY], known) if v.rule == "volume"] == (
        [is_drift] if len(rows) > 4 or options else []
    )


def test_refused_and_missing_days_are_no_reference_and_other_weekdays_neither(tmp_path: Path) -> None:
    settings, contract, days = sales(tmp_path, 400, 400, 400, 400, 390)
    deliver(settings, b"", f"sales_{days[0]}.csv")  # unreadable
    for n in range(1, 7):
        deliver(settings, csv_text([sale(1)]), f"sales_{FRIDAY - timedelta(days=n)}.csv")
    known = extract(settings, contract, [FRIDAY - timedelta(days=n) for n in range(60)][::-1])
    assert judge(contract, known[FRIDAY], known) == []


def test_the_verdicts_are_the_same_whether_days_are_loaded_at_once_or_one_by_one(tmp_path: Path) -> None:
    counts = (400, 380, 420, 400, 190, 400, 150, 410, 420)
    settings, contract, days = sales(tmp_path / "a", *counts)
    at_once = extract(settings, contract, days[::-1])
    other, same, _ = sales(tmp_path / "b", *counts)
    one_by_one = {day: extract(other, same, [day])[day] for day in days}
    figures = [[(d, p.loaded, p.drift, p.failure) for d, p in known.items()] for known in (at_once, one_by_one)]
    assert figures[0] == figures[1]
    assert [d for d, p in at_once.items() if p.drift == "refused"] == [days[4], days[6]]


def test_an_older_day_that_comes_later_takes_no_published_rows_back_and_may_free_a_refused_day(tmp_path: Path) -> None:
    settings, contract, days = sales(tmp_path, 400, 400, 400, 400, 190)
    assert extract(settings, contract, days[1:])[FRIDAY].loaded  # three references judge nothing
    again = extract(settings, contract, days)[FRIDAY]
    assert (again.loaded, again.drift, again.rows_loaded) == (True, "accepted", 190)
    assert all(r.passed for r in validate(settings, contract, [again]))
    fridays(settings, contract, 180)  # another content: judged by all four
    assert load(settings, contract, FRIDAY).drift == "refused"

    # refused by the references there are; two small weeks come later, and the day is as usual
    other, contract, days = sales(tmp_path / "b", 180, 190, 185, 190, 400, 400, 400, 190)
    assert extract(other, contract, days[3:], accept_drift=False)[FRIDAY].drift == "refused"
    assert pending_days(other, {"sales": contract}) == [*days[:3], FRIDAY]
    assert extract(other, contract, days)[FRIDAY].loaded


def test_a_contract_without_a_word_has_the_default_rules_as_warnings(tmp_path: Path) -> None:
    assert sales_contract(tmp_path).drift == DRIFT_RULES
    assert {rule.severity for rule in DRIFT_RULES} == {"warning"}
    declared = sales_contract(tmp_path, quality=volume("error", tolerance=0.2, weeks=6, minimumWeeks=2)).drift
    assert declared[0] == DriftRule("volume", 0.2, "error", 6, 2)
    assert sales_contract(tmp_path, quality=volume("ignored")).drift == DRIFT_RULES[1:]


def test_a_column_that_is_not_watched_raises_no_alarm(tmp_path: Path) -> None:
    settings, contract, days = sales(tmp_path, 400, 400, 400, 400, 400)
    deliver(settings, csv_text([sale(n, note="") for n in range(400)]), f"sales_{FRIDAY}.csv")
    known = extract(settings, contract, days)
    assert [v.rule for v in judge(contract, known[FRIDAY], known) if v.is_drift] == ["null_share"]
    columns = tuple(replace(c, watched=c.name != "note") for c in contract.columns)
    assert not any(v.is_drift for v in judge(replace(contract, columns=columns), known[FRIDAY], known))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "rows"}, "must be one of volume, null_share, category_share, median"),
        ({"severity": "high"}, "has severity 'high'; use warning, error or ignored"),
        ({"implementation": {"tolerance": 40}}, "has tolerance 40; it is a share between 0 and 1"),
        ({"name": "median", "implementation": {"tolerance": 0.4}}, "has tolerance 0.4; it is a factor above 1"),
        ({"implementation": {"week": 4}}, "has unknown options week"),
        ({"implementation": {"weeks": 4, "minimumWeeks": 5}}, "needs 1 <= minimumWeeks <= weeks <= 52"),
        ({"implementation": {"growth": 0.5}}, "has growth 0.5; it is a factor above 1"),
        ({"implementation": "weeks"}, "implementation must be a mapping"),
    ],
)
def test_a_mistake_in_a_drift_rule_is_one_sentence(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence.replace("<", ".").replace("'", ".")):
        sales_contract(tmp_path, quality=[{**volume()[0], **change}])
