"""Settings: one typed place, read from FIDELIS_ variables, wrong values refused with a sentence."""

import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from orchestration.settings import DEFAULT_CONTRACTS_DIR, PROJECT_DIR, Settings


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FIDELIS_{name.upper()}", raising=False)


def load() -> Settings:
    return Settings(_env_file=None)


def test_without_any_variable_everything_lies_below_the_checkout() -> None:
    settings = load()
    assert settings.home == PROJECT_DIR / ".fidelis"
    assert settings.contracts == DEFAULT_CONTRACTS_DIR
    assert settings.landing_dir == PROJECT_DIR / ".fidelis" / "landing"


def test_every_state_folder_lies_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIDELIS_HOME", str(tmp_path))
    settings = load()
    folders = [
        *(settings.landing_dir, settings.raw_dir, settings.quarantine_dir, settings.warehouse_dir),
        *(settings.releases_dir, settings.dagster_dir, settings.dbt_target_dir, settings.data_docs_dir),
    ]
    assert {folder.parent for folder in folders} == {tmp_path}
    assert len(set(folders)) == len(folders)


def test_relative_paths_are_taken_from_the_project_and_a_tilde_from_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIDELIS_CONTRACTS", "examples/complete_journey/contracts")
    monkeypatch.setenv("FIDELIS_LANDING", "~/drop")
    settings = load()
    assert settings.contracts == PROJECT_DIR / "examples/complete_journey/contracts"
    assert settings.landing_dir == (Path.home() / "drop").resolve()


def test_an_empty_variable_is_one_that_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIDELIS_LANDING", "")
    monkeypatch.setenv("FIDELIS_FIRST_DAY", "")
    assert load().landing is None
    assert load().first_day == date(2023, 1, 1)


def test_values_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIDELIS_FIRST_DAY", "2024-02-29")
    monkeypatch.setenv("FIDELIS_TIMEZONE", "America/New_York")
    monkeypatch.setenv("FIDELIS_RELEASES_KEPT", "3")
    settings = load()
    assert (settings.first_day, settings.releases_kept) == (date(2024, 2, 29), 3)
    assert settings.zone == ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TIMEZONE", "Europe/Pari", "'Europe/Pari' is no IANA time zone; write it like Europe/Paris"),
        ("CURRENCY", "euro", "String should match pattern"),
        ("RELEASES_KEPT", "1", "greater than or equal to 2"),
        ("THREADS", "0", "greater than or equal to 1"),
        ("MEMORY", "much", "String should match pattern"),
        ("FIRST_DAY", "2023-02-29", "valid date"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(f"FIDELIS_{name}", value)
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        load()


def test_the_example_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = re.findall(r"^FIDELIS_(\w+)=(.*)$", (PROJECT_DIR / ".env.example").read_text(), re.MULTILINE)
    assert {name.lower() for name, _ in lines} == set(Settings.model_fields)
    defaults = load()
    for name, value in lines:
        monkeypatch.setenv(f"FIDELIS_{name}", value)
    assert load() == defaults


def test_what_dagster_and_dbt_read_is_handed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    monkeypatch.setattr(os, "environ", os.environ.copy())
    settings = Settings(_env_file=None, home=tmp_path, threads=3)
    settings.export()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert os.environ["FIDELIS_WAREHOUSE_DIR"] == str(tmp_path / "warehouse")
    assert os.environ["FIDELIS_THREADS"] == "3"
    assert os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
