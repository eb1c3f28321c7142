"""A night with a million messages and five million web events: seconds per step.

Behind it lie 31 days of a sample retailer and one account for every five messages. The night delivers messages of five campaigns
to every account (a tenth held back), what came of them (all delivered, two fifths opened, a twentieth clicked, some bounced or
unsubscribed) and five events of each of a million visitors, a fifth of whom sign in. Shown per step are seconds of wall clock and
of processors, then the slowest models.

Run: python -m benchmarks.campaign_night [messages] [folder]
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration import dbt_runner, dbt_tests, identity, raw_zone, releases, warehouse
from orchestration.contracts import Contract, load_contracts
from orchestration.extraction import extract
from orchestration.settings import Settings

FIRST, NIGHT = date(2023, 1, 1), date(2023, 2, 1)
BEFORE = NIGHT - timedelta(days=1)
CAMPAIGNS = 5
SLOWEST = 12

_ACCOUNTS = """
    select 'X' || i as "CustomerNumber", 'shop' as "System", 'x' || md5('m' || i)[:12] || '@example.com' as "Email", null as "Phone",
        'F' || translate(md5('f' || i)[:7], '0123456789', 'ghijklmnop') as "FirstName",
        'L' || translate(md5('l' || i)[:9], '0123456789', 'ghijklmnop') as "LastName",
        null as "Street", null as "PostalCode", null as "City", 'FR' as "Country", null as "BirthDate", null as "Gender",
        'false' as "LoyaltyMember",
        null as "MemberSince", null as "LoyaltyNumber", null as "AcquisitionChannel", null as "AcquisitionCampaign",
        '2023-01-31' as "CreatedOn", '2023-01-31 09:00:00' as "UpdatedAt"
    from range({accounts}) as t(i)
"""
_MESSAGES = """
    select 'XM' || i as message_id, 'XC' || i % {campaigns} as campaign_id, 'X' || i // {campaigns} as customer_no,
        timestamp '2023-02-01 06:00:00' + i % 3600 * interval 1 second as sent_at, hash(i // {campaigns}) % 10 = 0 as is_control,
        null::varchar as arm
    from range({messages}) as t(i)
"""
_REACTIONS = """
    select 'XR' || row_number() over () as reaction_id, message_id, kind as type, sent_at + after * interval 1 second as at,
        null as order_no, if(kind in ('opened', 'clicked'), 'Mozilla/5.0 (X11; Linux x86_64)', null) as agent
    from (select *, hash(message_id) as h from ({messages}) where not is_control)
    cross join (values ('delivered', 100, 60), ('opened', 40, 4000), ('clicked', 5, 4100), ('bounced', -1, 5), ('unsubscribed', 1, 4200))
        as kinds(kind, share, after)
    where h % 100 < share or (share < 0 and h % 100 = 99)
"""
_EVENTS = """
    select 'XE' || i as id, strftime(timestamp '2023-02-01 05:00:00' + (hash(i // 5) % 50000 + i % 5 * 400) * interval 1 second,
            '%Y-%m-%dT%H:%M:%S.%fZ') as ts, 'XV' || i // 5 as visitor,
        ['page_view', 'page_view', 'product_view', 'add_to_cart', 'page_view'][1 + i % 5] as type, '/p/' || i % 97 as page,
        if(i % 10 = 0, 'search.example.com', null) as referrer, null as sku, null as order_no,
        if(i % 25 = 4, {{'account': 'X' || i // 25 % {accounts}}}, null) as user,
        if(i % 25 = 0, {{'source': 'news', 'medium': 'email', 'campaign': 'XC' || i % {campaigns}}}, null) as utm,
        'mobile' as device, 'Mozilla/5.0 (Phone; Mobile) FidelisBrowser/12' as agent
    from range({events}) as t(i)
"""


def deliver(landing: Path, messages: int) -> None:
    """The sample's deliveries, the accounts on its last day, and the night's own."""
    program = [str(Path(sys.executable).with_name("fidelis")), "sample", "--customers", "1000", "--out", str(landing)]
    subprocess.run([*program, "--start", str(FIRST), "--end", str(BEFORE)], check=True)
    sizes = {"accounts": messages // CAMPAIGNS, "campaigns": CAMPAIGNS, "events": 5 * messages}
    sent = _MESSAGES.format(messages=messages, campaigns=CAMPAIGNS)
    with duckdb.connect() as con:

        def write(query: str, name: str, options: str) -> Path:
            con.execute(f"copy ({query}) to '{landing / name}' ({options})")
            return landing / name

        accounts = write(_ACCOUNTS.format(**sizes), "accounts.part", "format csv, delimiter ';', header false")
        with open(landing / "crm" / f"customers_{BEFORE}.csv", "ab") as stream:
            stream.write(accounts.read_bytes())
        accounts.unlink()
        write(sent, f"marketing/messages_{NIGHT}.parquet", "format parquet")
        write(_REACTIONS.format(messages=sent), f"marketing/reactions_{NIGHT}.csv", "format csv, header")
        write(_EVENTS.format(**sizes), f"web/events_{NIGHT}.jsonl.gz", "format json, compression gzip")
    listed = max((landing / "marketing").glob("campaigns_*.csv")).read_text()
    about = {
        "medium": "email",
        "starts": "2023-02-01",
        "control_group": "true",
        "control_share": "0.1",
        "conversions_reported": "true",
    }
    header = listed.splitlines()[0].split(",")
    for i in range(CAMPAIGNS):
        said = {"campaign_id": f"XC{i}", "name": f"Campaign {i}", **about}
        listed += ",".join(said.get(name, "") for name in header) + "\n"
    (landing / "marketing" / f"campaigns_{NIGHT}.csv").write_text(listed)


def run(
    settings: Settings, contracts: dict[str, Contract], days: list[date], step: Callable[[str], Any]
) -> dict[str, float]:
    """One night over some days, each step under ``step``; returns the seconds of each model."""
    for table, contract in contracts.items():
        with step(f"extraction of {table}"):
            loaded = extract(settings, contract, days, accept_missing=True)
        failed = [p.failure for p in loaded.values() if p.failure]
        if failed:
            raise SystemExit(f"{table}: {failed[0]}")
    as_of = max(raw_zone.loaded_days(settings, contracts))
    with step("unique customer repository"):
        identity.build(settings, contracts, as_of)
    with step("telling dbt what changed"):
        plan = warehouse.prepare(settings, contracts)
    with step("dbt: models"):
        results = dbt_runner.build(
            settings, ["--resource-type", "model", "--resource-type", "seed"], whole=plan.is_whole
        )
    nodes = dbt_runner.load_manifest(settings)["nodes"]
    with step("dbt: data tests"):
        results += dbt_tests.run(
            settings, [key for key, node in nodes.items() if node["resource_type"] == "test"], results
        )
    broken = [r for r in results if r.status in ("fail", "error")]
    if broken:
        raise SystemExit(f"{broken[0].unique_id}: {broken[0].message}")
    warehouse.finish(settings, plan)
    with step("release"):
        releases.publish(settings, as_of, {"passed": 0}, raw_zone.state(settings, contracts), contracts)
    return {r.unique_id.split(".")[2]: r.seconds for r in results if r.unique_id.startswith("model.")}


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="campaign-night-"))
    landing = folder / "landing"
    deliver(landing, messages)
    settings = Settings(home=folder / "home", landing=landing, first_day=FIRST)
    settings.export()
    contracts = load_contracts(settings.contracts)
    seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def measured(name: str) -> Iterator[None]:
        wall, busy = time.perf_counter(), time.process_time()
        yield
        seconds[name] = (time.perf_counter() - wall, time.process_time() - busy)

    days = [FIRST + timedelta(days=i) for i in range((NIGHT - FIRST).days)]
    run(settings, contracts, days, measured)
    models = run(settings, contracts, [NIGHT], measured)
    with warehouse.connect_file(settings, settings.warehouse_dir / warehouse.DATAMART) as con:
        night = f"where sent_date = date '{NIGHT}'"
        sent = con.execute(f"select count(*) from mart.fct_campaign_messages {night}").fetchall()[0][0]
        visits = con.execute(
            f"select count(*) from mart.fct_web_sessions where session_date = date '{NIGHT}'"
        ).fetchall()[0][0]
    if sent != messages:
        raise SystemExit(f"{sent:,} messages in the mart, not {messages:,}")
    print(f"{sent:,} messages, {5 * messages:,} events in {visits:,} sessions")
    print("| step | seconds | of processors |\n|---|---|---|")
    for name, (wall, busy) in [*seconds.items(), ("all", tuple(map(sum, zip(*seconds.values(), strict=True))))]:
        if wall >= 0.1:
            print(f"| {name} | {wall:.1f} | {busy:.1f} |")
    print(f"\n| the {SLOWEST} slowest models | seconds |\n|---|---|")
    for name, spent in sorted(models.items(), key=lambda m: -m[1])[:SLOWEST]:
        print(f"| {name} | {spent:.1f} |")


if __name__ == "__main__":
    main()
