"""Weights found in a retailer's own accounts: the command, and the same weights whatever the order of rows."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration import identity
from orchestration.cli.app import app
from orchestration.identity import scoring
from orchestration.settings import Settings
from tests.support.people import CONTRACTS, DAYS, deliver, ids, person
from tests.support.world import settings_in

FIRST = ["Anne", "Hugo", "Marc", "Zoe", "Paul", "Lucie", "Nadia", "Igor"]
LAST = ["Roux", "Valois", "Abel", "Petit", "Sow", "Martin", "Faure", "Noir", "Blanc", "Henry", "Colin"]


def shop(seed: int) -> list[dict[str, str]]:
    """160 people, half of them with a second account: without the address, or with a typing error in the name."""
    draw = random.Random(1)
    rows = []
    for number in range(160):
        first, last = FIRST[number % 8], LAST[number % 11]
        known = {
            "FirstName": first,
            "LastName": last,
            "Email": f"{first}.{last}{number}@example.com",
            "BirthDate": f"{1950 + number % 50}-{1 + number % 12:02d}-{1 + number % 28:02d}",
            "City": draw.choice(["Paris", "Lyon", "Nice"]),
        }
        rows.append(person(f"A{number}", **known))
        if number % 2:
            error = known | {"LastName": last[:2] + last[3:], "Email": ""} if number % 4 == 1 else known
            rows.append(person(f"B{number}", System="shop", **error))
    random.Random(seed).shuffle(rows)
    return rows


def trained(home: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FIDELIS_HOME", str(home.home))
    said = CliRunner().invoke(app, ["identity", "train"])
    assert said.exit_code == 0, said.output
    return said.output


@pytest.mark.slow
def test_the_command_puts_the_same_weights_in_force_whatever_the_order_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [settings_in(tmp_path / name) for name in ("one", "other")]
    for seed, home in enumerate(homes):
        deliver(home, DAYS[0], shop(seed), only="customers")
    before = scoring.model_version(homes[0])
    for home in homes:
        said = trained(home, monkeypatch)
        model = json.loads((home.identity_dir / "model.json").read_text())
        assert "trained on 240 accounts delivered through 2024-01-01" in " ".join(said.split())
        assert (model["source"], model["records"], model["trained_through"]) == ("trained", 240, "2024-01-01")
        (kept,) = (home.identity_dir / "models").iterdir()
        assert kept.read_bytes() == (home.identity_dir / "model.json").read_bytes()
    one, other = ((home.identity_dir / "model.json").read_bytes() for home in homes)
    assert one == other
    assert scoring.model_version(homes[0]) != before
    # of one person, addresses mostly agree; of two taken at random, hardly ever
    m, u = model["weights"]["email"]["equal"]
    assert m > 0.5 > 0.05 > u
    for home in homes:
        identity.build(home, {"customers": CONTRACTS["customers"]}, DAYS[0])
    found = ids(homes[0])
    assert found == ids(homes[1])
    assert all(found[f"B{number}"] == found[f"A{number}"] for number in range(1, 160, 2))


def test_too_few_accounts_are_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = settings_in(tmp_path)
    deliver(home, DAYS[0], shop(0)[:50], only="customers")
    monkeypatch.setenv("FIDELIS_HOME", str(home.home))
    said = CliRunner().invoke(app, ["identity", "train"])
    assert said.exit_code != 0
    assert "50 accounts are too few to train on" in " ".join(said.output.split())
    assert not (home.identity_dir / "model.json").exists()
