"""The dbt project on sources without a row: every model builds, every data test and unit test passes."""

import os
import subprocess
import sys
from pathlib import Path

from orchestration import warehouse
from orchestration.contracts import default_contracts
from orchestration.settings import DBT_PROJECT_DIR, Settings


def test_the_project_builds_on_empty_sources_and_its_unit_tests_pass(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    warehouse.prepare(settings, default_contracts())
    program = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build"]
    folders = ["--project-dir", DBT_PROJECT_DIR, "--profiles-dir", DBT_PROJECT_DIR, "--target-path", tmp_path / "dbt"]
    environment = {**os.environ, "FIDELIS_WAREHOUSE_DIR": str(settings.warehouse_dir), "DBT_LOG_PATH": str(tmp_path)}
    done = subprocess.run([*program, *map(str, folders)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " unit_test " in done.stdout or "unit test" in done.stdout
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout
