"""Does a night cost the same whatever lies behind it? The same three deliveries on top of 30, 365 and 1,095 days of history.

For each history: everything before is loaded and built, then three nights are run one by one. Shown are the medians of the three:
seconds to extract all tables, to tell dbt what changed, and what dbt spent on staging, on the facts (with dimensions and what they
need) and on the rest, which is recomputed whole.

Run: python -m benchmarks.flat_history [customers] [folder]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from orchestration import dbt_runner, warehouse
from orchestration.contracts import Contract, load_contracts
from orchestration.extraction import extract
from orchestration.settings import Settings

LAST = date(2024, 12, 30)
HISTORIES = (30, 365, 1095)
NIGHTS = 3


def group_of(folder: str) -> str:
    """Staging, facts (with dimensions and what both need) or the rest, from a model's place in the project."""
    if folder.startswith("models/staging"):
        return "staging"
    name = Path(folder).name
    upstream = folder.startswith("models/intermediate") and "/value/" not in folder
    return "facts" if upstream or name.startswith(("fct_", "dim_")) else "rest"


def night(settings: Settings, contracts: Mapping[str, Contract], days: list[date]) -> dict[str, float]:
    began = time.perf_counter()
    for contract in contracts.values():
        extract(settings, contract, days, accept_missing=True)
    extracted = time.perf_counter()
    plan = warehouse.prepare(settings, contracts)
    prepared = time.perf_counter()
    results = dbt_runner.build(settings, ["--resource-type", "model", "--resource-type", "seed"], whole=plan.is_whole)
    failed = [r for r in results if r.status != "pass"]
    if failed:
        raise SystemExit(f"{failed[0].unique_id}: {failed[0].message}")
    warehouse.finish(settings, plan)
    seconds: dict[str, float] = defaultdict(float)
    folders = {k: n["original_file_path"] for k, n in dbt_runner.load_manifest(settings)["nodes"].items()}
    for result in results:
        seconds[group_of(folders[result.unique_id])] += result.seconds
    return {"extraction": extracted - began, "plan": prepared - extracted, **seconds}


def main() -> None:
    customers = sys.argv[1] if len(sys.argv) > 1 else "2000"
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="flat-history-"))
    first = LAST - timedelta(days=max(HISTORIES) + NIGHTS - 1)
    command = [str(Path(sys.executable).with_name("fidelis")), "sample", "--customers", customers]
    landing = folder / "landing"
    if not landing.exists():
        subprocess.run([*command, "--start", str(first), "--end", str(LAST), "--out", str(landing)], check=True)
    nights = [LAST - timedelta(days=i) for i in reversed(range(NIGHTS))]
    print("| history | rows | extraction | plan | staging | facts | rest |")
    print("|---|---|---|---|---|---|---|")
    for days in HISTORIES:
        home = folder / f"home-{days}"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        settings = Settings(home=home, landing=landing, first_day=first)
        settings.export()
        contracts = load_contracts(settings.contracts)
        night(settings, contracts, [nights[0] - timedelta(days=i) for i in range(1, days + 1)])
        measured = [night(settings, contracts, [day]) for day in nights]
        with warehouse.connect_file(settings, settings.warehouse_dir / warehouse.DATAMART) as con:
            rows = con.execute("select count(*) from mart.fct_order_lines").fetchall()[0][0]
        parts = ("extraction", "plan", "staging", "facts", "rest")
        print(
            f"| {days} days | {rows:,} lines | "
            + " | ".join(f"{median(m[p] for m in measured):.2f} s" for p in parts)
            + " |"
        )


if __name__ == "__main__":
    main()
