"""What lies in quarantine, as an operator asks for it: by day and rule, its trend, the rows; no text unasked."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration import bad_rows, raw_zone
from orchestration.cli import app
from orchestration.contracts import Contract, load_contract
from orchestration.raw_zone import Partition
from orchestration.settings import Settings
from tests.support.world import (
    DAY,
    NEXT_DAY,
    contract_document,
    csv_text,
    deliver,
    load,
    settings_in,
    write_contract,
)

SECRET = "Erika Mustermann"
HEADER = ("campaign", "day", "cost", "currency", "note")


def costs_contract(folder: Path, key_class: str = "internal", severity: str = "error") -> Contract:
    """A contract of a table that the mart knows. The header ``note`` is delivered and not captured."""
    key = {"primaryKey": True, "required": True, "logicalType": "string"}
    amount = {"logicalType": "number", "physicalType": "decimal(18,2)", "logicalTypeOptions": {"minimum": 0}}
    columns = [
        {"name": "campaign_id", "physicalName": "campaign", "classification": key_class, **key},
        {"name": "cost_date", "physicalName": "day", **key, "logicalType": "date", "primaryKeyPosition": 2},
        {"name": "cost_amount", "physicalName": "cost", "required": True, **amount},
        {
            "name": "currency",
            "physicalName": "currency",
            "logicalType": "string",
            "required": True,
            "logicalTypeOptions": {"pattern": "[A-Z]{3}"},
            "customProperties": [{"property": "severity", "value": severity}],
        },
    ]
    tolerance = {"toleratedBadRows": 0.5, "toleratedBadRowsAtLeast": 5}
    document = contract_document("campaign_costs", columns, path="costs_{date}.csv", **tolerance)
    return load_contract(write_contract(folder / "contracts", document))


def cost(number: int, **changes: str) -> dict[str, str]:
    row = {"campaign": f"C{number}", "day": "2024-03-01", "cost": f"{number}.50", "currency": "EUR", "note": "-"}
    return row | changes


def delivered_costs(settings: Settings, *rows: Mapping[str, str], day: date = DAY) -> Path:
    return deliver(settings, csv_text(rows, HEADER), f"costs_{day}.csv")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that the command line finds in its environment."""
    made = settings_in(tmp_path, contracts=tmp_path / "contracts")
    for name in ("home", "landing", "contracts", "first_day", "threads", "memory"):
        monkeypatch.setenv(f"FIDELIS_{name.upper()}", str(getattr(made, name)))
    return made


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return costs_contract(tmp_path)


def fidelis(*arguments: str, expect: int = 0) -> str:
    """What a command says, errors included, its spaces as single ones."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == expect, done.output
    return " ".join(done.output.split())


def test_rows_and_rules_are_counted_by_day_the_newest_first(settings: Settings, contract: Contract) -> None:
    delivered_costs(settings, cost(1), cost(2, cost="x", currency="euro"), cost(3, currency="eur"))
    delivered_costs(settings, cost(1), cost(4, cost="x"), day=NEXT_DAY)
    load(settings, contract, DAY, NEXT_DAY)
    held = bad_rows.days_held(settings, contract)
    assert [(p.day, p.rows_quarantined) for p in held] == [(NEXT_DAY, 1), (DAY, 2)]
    assert bad_rows.broken_rules(contract, held) == {"cost_amount_type": 2, "currency_pattern": 2}
    lines = CliRunner().invoke(app, ["quarantine", "list"]).output.splitlines()
    assert lines[1].split("\t") == ["campaign_costs", "2024-03-02", "accepted", "1", "1", "cost_amount_type 1"]
    assert lines[2].split("\t") == [
        "campaign_costs",
        "2024-03-01",
        "accepted",
        "2",
        "1",
        "currency_pattern 2, cost_amount_type 1",
    ]


def test_a_row_is_shown_with_rule_key_file_and_line_and_its_text_on_demand_only(
    settings: Settings, contract: Contract
) -> None:
    delivered_costs(settings, cost(1), cost(2, cost="x", note=SECRET))
    load(settings, contract)
    assert bad_rows.rows(settings, contract, DAY)[0].raw_text == f"C2,2024-03-01,x,EUR,{SECRET}"
    shown = fidelis("quarantine", "show", "campaign_costs", "2024-03-01")
    assert "2 rows read, 1 in quarantine (cost_amount_type 1)" in shown
    assert shown.endswith("cost_amount_type C2 | 2024-03-01 costs_2024-03-01.csv 3")
    assert SECRET not in shown + fidelis("quarantine", "list")
    assert SECRET in fidelis("quarantine", "show", "campaign_costs", "2024-03-01", "--raw")


@pytest.mark.parametrize("classification", ["personal", "direct_identifier"])
def test_a_key_that_is_personal_data_is_shown_with_the_text_only(
    settings: Settings, tmp_path: Path, classification: str
) -> None:
    contract = costs_contract(tmp_path, classification)
    delivered_costs(settings, cost(1), cost(2, cost="x", campaign="erika@example.com"))
    load(settings, contract)
    assert "erika" not in fidelis("quarantine", "show", "campaign_costs", "2024-03-01")
    assert "erika" in fidelis("quarantine", "show", "campaign_costs", "2024-03-01", "--raw")


def test_a_refused_delivery_shows_why_and_what_stays(settings: Settings, contract: Contract) -> None:
    delivered_costs(settings, cost(1), cost(2), cost(3))
    load(settings, contract)
    delivered_costs(settings, *[cost(n, cost="x") for n in range(20)])
    load(settings, contract)
    assert "refused, the last good one stays 20 3 cost_amount_type 20" in fidelis("quarantine", "list")
    shown = fidelis("quarantine", "show", "campaign_costs", "2024-03-01", "--limit", "5")
    assert (
        "the last good delivery stays in the raw zone, 3 rows): campaign_costs of 2024-03-01: 20 of 20 rows are bad"
        in shown
    )
    assert shown.count("cost_amount_type C") == 5
    assert shown.endswith("15 more rows: --limit shows them.")


def test_an_unreadable_first_delivery_is_listed_without_rows(settings: Settings, contract: Contract) -> None:
    deliver(settings, b"", "costs_2024-03-01.csv")
    load(settings, contract)
    assert "campaign_costs 2024-03-01 refused 0 0" in fidelis("quarantine", "list")
    assert "(none before): costs_2024-03-01.csv is empty" in fidelis(
        "quarantine", "show", "campaign_costs", "2024-03-01"
    )


def test_a_corrected_delivery_of_the_day_empties_it(settings: Settings, contract: Contract) -> None:
    delivered_costs(settings, cost(1), cost(2, cost="x"))
    load(settings, contract)
    delivered_costs(settings, cost(1), cost(2, cost="12"))
    load(settings, contract)
    assert bad_rows.rows(settings, contract, DAY) == []
    assert not [p for p in settings.quarantine_dir.rglob("*") if p.is_file()]
    assert fidelis("quarantine", "list") == "Nothing is in quarantine."


def test_a_rule_that_only_warns_sends_no_row_to_quarantine_and_is_not_counted(
    settings: Settings, tmp_path: Path
) -> None:
    contract = costs_contract(tmp_path, severity="warning")
    delivered_costs(settings, cost(1), cost(2, currency="euro"), cost(3, cost="x"))
    partition = load(settings, contract)
    assert partition.violations == {"currency_pattern": 1, "cost_amount_type": 1}
    assert bad_rows.broken_rules(contract, [partition]) == {"cost_amount_type": 1}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "sold", "2024-03-01"), "there is no contract of a table 'sold'; there are: campaign_costs"),
        (("list", "--table", "sold"), "there is no contract of a table 'sold'; there are: campaign_costs"),
        (("show", "campaign_costs", "2024-03-09"), "campaign_costs of 2024-03-09 has not been loaded yet"),
        (("replay", "campaign_costs", "2023-12-31"), "cannot run 2023-12-31 to 2023-12-31"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    settings: Settings, contract: Contract, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in fidelis("quarantine", *arguments, expect=1)


def test_a_day_whose_delivery_left_the_landing_folder_cannot_be_replayed(
    settings: Settings, contract: Contract
) -> None:
    delivery = delivered_costs(settings, cost(1), cost(2, cost="x"))
    load(settings, contract)
    delivery.unlink()
    assert "there is no delivery of campaign_costs for 2024-03-01 to load again" in fidelis(
        "quarantine", "replay", "campaign_costs", "2024-03-01", expect=1
    )
    assert raw_zone.partitions(settings, "campaign_costs")[DAY].rows_quarantined == 1


def delivered(number: int, read: int, **violations: int) -> Partition:
    day = date(2024, 1, 1) + timedelta(days=number)
    bad = sum(violations.values())
    return Partition(day, read, read - bad, bad, violations=violations)


def test_the_trend_compares_the_last_seven_delivered_days_with_the_28_before(contract: Contract) -> None:
    ancient = [delivered(n, 100, amount_type=50) for n in range(10)]
    before = [delivered(10 + n, 100, amount_type=1) for n in range(28)]
    latest = [delivered(50 + n, 100, cost_amount_type=2) for n in range(6)] + [delivered(60, 100, amount_type=9)]
    undelivered = [delivered(70 + n, 0) for n in range(9)]
    trend = bad_rows.trend(contract, [*ancient, *before, *latest, *undelivered])
    assert trend.latest_share == pytest.approx(21 / 700)
    assert trend.before_share == pytest.approx(28 / 2800)
    # 28 rows in 28 days are 7 in 7
    assert trend.rules == {"cost_amount_type": (12, 0.0), "amount_type": (9, 7.0)}


def test_a_table_never_delivered_has_no_trend(contract: Contract) -> None:
    assert bad_rows.trend(contract, []) == bad_rows.Trend(None, None, {})
    assert bad_rows.trend(contract, [delivered(1, 50, amount_type=1)]) == bad_rows.Trend(
        0.02, None, {"amount_type": (1, 0.0)}
    )
