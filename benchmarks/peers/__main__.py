"""The same star schema, RFM of every month and past value by pandas, polars and SQLMesh, on the yardstick's files, beside Fidelis.

The peers read trusted Parquet files and write tables. They have no typed extraction, quarantine, gates, identities, predicted value,
attribution, tests, lineage or release: what Fidelis does more is in its time. Results are compared: order lines, net amount, sessions,
reactions, and the last month's RFM.

Run: python -m benchmarks.peers SCALE --python VENV/bin/python [--times 3] [--work FOLDER]. The venv has pandas, polars and sqlmesh.
"""

import argparse
import os
import tempfile
from pathlib import Path

import duckdb

from benchmarks import landing
from benchmarks.night import Pipeline, exact_rules, fresh, measure, middle
from orchestration.settings import PROJECT_DIR

HERE = Path(__file__).parent
_RESULTS = {
    "order lines and net amount": "select count(*) || ' ' || cast(sum(net_amount) as decimal(18, 2)) from fct_order_lines where is_kept",
    "sessions": "select count(*) || ' ' || sum(purchases) from fct_web_sessions",
    # what may still come is no reaction yet
    "reactions": """select string_agg(n, ' ' order by n) from (select count(*) || '' as n from fct_campaign_messages
        group by case reaction when 'pending' then 'no_reaction' else reaction end)""",
    "RFM of the last month": """select string_agg(n, ' ' order by n) from (select segment || ' ' || count(*) || ' '
        || cast(sum(monetary) as decimal(18, 2)) as n from customer_rfm_monthly
        where cast(snapshot_date as date) = date '2025-12-31' group by segment)""",
}


def results(place: Path) -> list[str]:
    """What a peer's folder of Parquet files, or a database with a schema ``mart``, says."""
    with duckdb.connect() as con:
        if place.is_dir():
            for file in place.glob("*.parquet"):
                con.execute(f"create view {file.stem} as select * from '{file}'")
        else:
            # under its own name, which its views know it by
            con.execute(f"attach '{place}' as {place.stem} (read_only)")
            con.execute(f"use {place.stem}.mart")
        return [str(con.execute(sql).fetchall()[0][0]) for sql in _RESULTS.values()]


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=float)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--yardstick", type=Path, default=PROJECT_DIR.parent / "shared" / "yardstick")
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    work = (asked.work or Path(tempfile.mkdtemp(prefix="peers-"))).resolve()
    files = landing.generate(asked.yardstick.resolve(), asked.scale, work)
    deliveries = landing.delivered(files, work, landing.FIRST)
    python, database = asked.python.absolute(), work / "peer.duckdb"
    sqlmesh = [str(python.with_name("sqlmesh")), "-p", str(HERE / "sqlmesh"), "plan", "--auto-apply", "--no-prompts"]
    commands = {n: [str(python), str(HERE / f"{n}_mart.py"), str(files), str(work / n)] for n in ("pandas", "polars")}
    costs = {"Fidelis": [], "pandas": [], "polars": [], "SQLMesh": []}
    for _ in range(asked.times):
        home = fresh(work / "homes" / "peers")
        ours = Pipeline(home, deliveries, landing.FIRST, exact_rules(work), asked.scale)
        costs["Fidelis"].append(ours.run(landing.FIRST, landing.LAST))
        for name, command in commands.items():
            costs[name].append(measure(command, work / f"{name}.log"))
        for file in work.glob("peer.duckdb*"):
            file.unlink()
        variables = {"PEER_LANDING": str(files), "PEER_DATABASE": str(database)}
        costs["SQLMesh"].append(measure(sqlmesh, work / "sqlmesh.log", variables))
    print(f"\nScale {asked.scale:g}, load {os.getloadavg()[0]:.1f}\n")
    print("| | wall s | CPU s | peak GB | Fidelis / it, wall | Fidelis / it, CPU |\n|---|---|---|---|---|---|")
    whole = middle(costs["Fidelis"])
    for name, measured in costs.items():
        cost = middle(measured)
        print(
            f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak:.2f} | {whole.wall / cost.wall:.2f} | {whole.cpu / cost.cpu:.2f} |"
        )
    places = {
        "Fidelis": work / "homes" / "peers" / "releases" / "current" / "datamart.duckdb",
        "pandas": work / "pandas", "polars": work / "polars", "SQLMesh": database,
    }  # fmt: skip
    said = {name: results(place) for name, place in places.items()}
    for number, figure in enumerate(_RESULTS):
        different = [name for name, told in said.items() if told[number] != said["SQLMesh"][number]]
        print(f"\n{figure}: {'equal' if not different else ', '.join(different) + ' differ from SQLMesh'}")


if __name__ == "__main__":
    main()
