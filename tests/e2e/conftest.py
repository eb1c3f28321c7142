"""A retailer of one's own: a home, a landing folder and the command line, as a user has them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Retailer:
    home: Path
    settings: dict[str, str]

    @property
    def landing(self) -> Path:
        return Path(self.settings.get("FIDELIS_LANDING", self.home / "landing"))

    @property
    def datamart(self) -> Path:
        return self.home / "releases" / "current" / "datamart.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("FIDELIS_", "DAGSTER_", "DBT_"))}
        return {**own, "FIDELIS_HOME": str(self.home), **self.settings}

    def fidelis(self, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line; its exit code must be ``expect`` (None: any)."""
        program = [str(Path(sys.executable).with_name("fidelis")), *arguments]
        done = subprocess.run(program, env=self.environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        if expect is not None:
            assert done.returncode == expect, (
                f"{' '.join(arguments)} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.datamart), read_only=True) as con:
            return con.execute(sql).fetchall()

    def content(self) -> dict[str, tuple[int, str]]:
        """Rows and checksum of every table of the current release; what changed since earlier ones is of the runs, not of the raw zone."""
        manifest = json.loads((self.home / "releases" / "current" / "manifest.json").read_text())
        return {
            table: (figures["rows"], figures["checksum"])
            for table, figures in manifest["tables"].items()
            if table != "kpi_restatements"
        }

    def release_id(self) -> str:
        return json.loads((self.home / "releases" / "current" / "manifest.json").read_text())["release_id"]


def copy_of(retailer: Retailer, home: Path) -> Retailer:
    """Another home over the same deliveries."""
    return Retailer(home, {**retailer.settings, "FIDELIS_LANDING": str(retailer.landing)})


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """Forty days of a small sample retailer, with dirt, nothing run yet."""
    home = tmp_path_factory.mktemp("retailer")
    made = Retailer(home, {})
    made.fidelis(
        "sample", "--customers", "250", "--start", "2023-01-01", "--end", "2023-02-09", "--seed", "11",
        "--dirt", "0.01", "--out", str(home / "landing"),
    )  # fmt: skip
    return made
