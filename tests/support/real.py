"""Real data of ../shared/data and the examples that map it."""

import csv
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from orchestration import raw_zone
from orchestration.contracts import Contract, load_contracts
from orchestration.extraction import extract
from orchestration.raw_zone import Partition
from orchestration.settings import Settings
from orchestration.sources import files
from tests.support.world import assert_accounted

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared" / "data"


def shared(name: str) -> Path:
    """The folder of one data set; the test is skipped where it is absent."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real data is absent: {folder}")
    return folder


def environment(example: str) -> dict[str, str]:
    """The settings that an example's README tells its user to take."""
    lines = (PROJECT / "examples" / example / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("FIDELIS_"))


class Extracted:
    """All deliveries of an example, extracted."""

    def __init__(self, example: str, home: Path, landing: Path) -> None:
        self.settings = Settings(_env_file=None, home=home, landing=landing, first_day=date(1990, 1, 1), threads=2)
        self.contracts: dict[str, Contract] = load_contracts(PROJECT / "examples" / example / "contracts")
        self.days: dict[str, list[Partition]] = {}
        self.load()

    def load(self) -> None:
        for table, contract in self.contracts.items():
            days = list(files.discover(contract, self.settings.landing_dir))
            self.days[table] = list(extract(self.settings, contract, days).values())
            for partition in self.days[table]:
                assert_accounted(partition)
                assert partition.failure is None

    def counts(self, table: str) -> dict[str, int]:
        """Rows of a table over all days by what became of them, without what there is none of."""
        names = ("read", "loaded", "quarantined", "duplicate", "elsewhere")
        totals = {name: sum(getattr(p, f"rows_{name}") for p in self.days[table]) for name in names}
        return {name: total for name, total in totals.items() if total}

    def query(self, table: str, sql: str) -> list[tuple]:
        """A query of the accepted rows of one table, named ``accepted``."""
        import duckdb

        relation = raw_zone.relation(self.settings, self.contracts[table])
        with duckdb.connect() as con:
            return con.execute(f"with accepted as ({relation}) {sql}").fetchall()


def records(file: Path) -> list[list[str]]:
    """The records of a CSV file by Python's own reader, its header first."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def broken_lines(file: Path) -> list[tuple[str, int, str]]:
    """(file name, line, text) of the records that have not as many fields as the header; one record, one line."""
    found, lines = records(file), file.read_text(encoding="utf-8").splitlines()
    assert len(found) == len(lines)
    return [
        (file.name, number, lines[number - 1])
        for number, record in enumerate(found, start=1)
        if len(record) != len(found[0])
    ]


def checkout_with_rules(folder: Path, example: str) -> Path:
    """A checkout whose user has put the seeds and vars of an example into the dbt project."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "target", "logs", "tests", "docs", "benchmarks")
    shutil.copytree(PROJECT, folder, ignore=left_out)
    shutil.copytree(folder / "examples" / example / "seeds", folder / "dbt_project" / "seeds", dirs_exist_ok=True)
    project = folder / "dbt_project" / "dbt_project.yml"
    settings = yaml.safe_load(project.read_text())
    settings["vars"] |= yaml.safe_load((folder / "examples" / example / "vars.yml").read_text())
    project.write_text(yaml.safe_dump(settings, sort_keys=False))
    return folder
