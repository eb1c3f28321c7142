"""Another process reads the current release in a loop while twenty releases are published: never an error."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

from orchestration.releases import publish
from orchestration.warehouse import DATAMART
from tests.support.mart import build_mart
from tests.support.world import settings_in

ROWS = 5_000
PUBLISHES = 20

READER = """
import json, sys
from collections import Counter
from pathlib import Path
import duckdb

file, stop = sys.argv[1], Path(sys.argv[2])
seen = Counter()
while not stop.exists():
    with duckdb.connect(file, read_only=True) as con:
        orders = con.execute("select version, count(*) from mart.fct_orders group by all").fetchall()
        customers = con.execute("select version, count(*) from mart.dim_customer group by all").fetchall()
    seen[json.dumps([orders, customers])] += 1
    if sum(seen.values()) == 1:
        print("reading", flush=True)
print(json.dumps(seen))
"""


def test_a_reader_sees_whole_releases_and_never_an_error(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, releases_kept=3)
    build_mart(settings, 0, rows=ROWS)
    publish(settings, date(2024, 3, 1), {}, "state of the raw zone")
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(settings.releases_dir / "current" / DATAMART), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            for version in range(1, PUBLISHES + 1):
                build_mart(settings, version, rows=ROWS)
                publish(settings, date(2024, 3, 1), {}, "state of the raw zone")
        finally:
            stop.touch()
        output, errors = reader.communicate(timeout=60)
    assert (reader.returncode, errors) == (0, "")
    seen = {tuple(tuple(table[0]) for table in json.loads(key)) for key in json.loads(output)}
    versions = {orders[0] for orders, _ in seen}
    assert seen == {((version, ROWS), (version, ROWS)) for version in versions}
    assert versions <= set(range(PUBLISHES + 1))
    assert len(versions) > PUBLISHES / 4
