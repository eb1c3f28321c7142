"""dbt's models built on a warehouse made by hand, without the night around them."""

from collections.abc import Sequence
from pathlib import Path


def build_models(project: Path, warehouse: Path, selection: Sequence[str], *options: str) -> None:
    """``dbt build`` of the selected models and seeds from nothing, without tests; ``FIDELIS_WAREHOUSE_DIR`` must be ``warehouse``."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folders = {
        "--project-dir": project,
        "--profiles-dir": project,
        "--target-path": warehouse / f"target_{project.parent.name}",
        "--log-path": warehouse / "logs",
    }
    quiet = ["--quiet", "--log-level-file", "none", "--exclude-resource-type", "test", "unit_test"]
    result = dbtRunner().invoke(
        ["build", "--full-refresh", *quiet, "--select", *selection, *options]
        + [str(part) for option in folders.items() for part in option]
    )
    DuckDBConnectionManager.close_all_connections()  # dbt keeps its files open for the life of the process
    assert result.success, result.exception or [r.message for r in result.result if r.status == "error"]
