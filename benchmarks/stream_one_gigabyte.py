"""A delivery of 1 GB streams through extraction: time and peak memory of the process that extracts it.

Run: python -m benchmarks.stream_one_gigabyte [gigabytes] [folder]
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

DAY = date(2024, 3, 1)
#: Every so many lines one breaks a rule, so that quarantine streams too.
BAD_EVERY = 100_000


def write_lines(file: Path, gigabytes: float, customers: int = 1000) -> int:
    """Order lines of so many customers, about 60 bytes each; returns how many."""
    rows = int(gigabytes * 1e9 / 62)
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as con:
        con.execute(
            f"copy (select 'L' || i as line_id, 'C' || (i % {customers}) || '-' || (i // {3 * customers}) as order_no, "
            f"'SKU-' || (i * 7919 % 50000) as sku, case when i % {BAD_EVERY} = 7 then -1 else 1 + i % 5 end as qty, "
            "printf('%.2f', (i % 9973) / 100.0 + 1) as unit_price, '0.00' as discount, '0.20' as tax_rate, "
            f"'note for line ' || (i % 1000) as extra from range({rows}) t(i)) to '{file}' (header, delimiter ',')"
        )
    return rows


def extract_in_child(home: Path, landing: Path) -> dict[str, float]:
    """Extract the order lines in a process of its own, with the default settings; its figures."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.stream_one_gigabyte", "--extract", str(home), str(landing)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def _extract(home: Path, landing: Path) -> None:
    from orchestration.contracts import default_contracts
    from orchestration.extraction import extract
    from orchestration.settings import Settings

    settings = Settings(_env_file=None, home=home, landing=landing, first_day=date(2024, 1, 1))
    started = time.perf_counter()
    partition = extract(settings, default_contracts()["order_lines"], [DAY])[DAY]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "read": partition.rows_read,
        "loaded": partition.rows_loaded,
        "quarantined": partition.rows_quarantined,
    }
    print(json.dumps(figures))


def main(gigabytes: float, folder: Path) -> dict[str, float]:
    """Make the file, extract it, and return the figures."""
    file = folder / "landing" / "shop" / f"order_lines_{DAY}.csv"
    rows = write_lines(file, gigabytes)
    figures = {"file_mb": round(file.stat().st_size / 1e6), "rows": rows}
    return figures | extract_in_child(folder / "home", folder / "landing")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--extract"]:
        _extract(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="fidelis-stream-"))
        try:
            print(json.dumps(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, folder)))
        finally:
            shutil.rmtree(folder)
