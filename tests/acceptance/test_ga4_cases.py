"""The cases of ga4_unit_cases: channel groups, the last touch that is not direct, who a visitor last signed in as."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import yaml

from tests.e2e.conftest import Retailer
from tests.support.real import PROJECT, records, shared

pytestmark = pytest.mark.acceptance


def test_every_source_medium_and_campaign_has_its_published_channel_group() -> None:
    _, *cases = records(shared("ga4_unit_cases") / "channel_grouping_cases.csv")
    assert len(cases) == 30
    macros = jinja2.Environment(autoescape=False).from_string(
        (PROJECT / "dbt_project" / "macros" / "traffic.sql").read_text(), {"ref": str}
    )
    with duckdb.connect() as con:
        for seed in ("traffic_terms", "channel_group_rules"):
            con.execute(
                f"create table {seed} as from read_csv('{PROJECT}/dbt_project/seeds/{seed}.csv', header = true)"
            )
        con.execute("create table traffic (source varchar, medium varchar, campaign varchar)")
        con.executemany("insert into traffic values (?, ?, ?)", [[text.lower() for text in case[:3]] for case in cases])
        found = con.execute(f"with {macros.module.channel_groups('traffic')} select * from channel_groups").fetchall()
    groups = {(source, medium, campaign): group for source, medium, campaign, group in found}
    assert len(groups) == 30
    # the mart writes Google's names as it writes all its words
    for source, medium, campaign, channel in cases:
        expected = channel.lower().replace(" ", "_").replace("-", "_")
        assert groups[source.lower(), medium.lower(), campaign.lower()] == expected, (source, medium, campaign)


LAST_NON_DIRECT = "stg_ga4__sessions_traffic_sources_last_non_direct_daily__"
USER_MAPPING = "stg_ga4__user_id_mapping__"


def _cases(name: str) -> list[dict[str, str]]:
    header, *rows = records(shared("ga4_unit_cases") / f"{name}.csv")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _deliver(home: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """A file of our own names and its contract."""
    for folder in ("landing", "contracts"):
        (home / folder).mkdir(exist_ok=True)
    with (home / "landing" / f"{table}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = {
        "deliveryMode": "full", "deliveryDate": "2023-06-30", "purpose": "Try it.", "legalBasis": "consent", "retention": "P1Y",
    }  # fmt: skip
    contract = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": f"urn:fidelis:test:{table}", "name": table,
        "version": "1.0.0", "status": "active",
        "servers": [{
            "server": "landing", "type": "local", "path": f"{table}.csv", "format": "csv",
            "customProperties": [{"property": "timezone", "value": "UTC"}],
        }],
        "schema": [{
            "name": table, "description": "Cases.",
            "customProperties": [{"property": name, "value": value} for name, value in settings.items()],
            "properties": [{"name": name, "physicalName": name} for name in rows[0]],
        }],
    }  # fmt: skip
    (home / "contracts" / f"{table}.yaml").write_text(yaml.safe_dump(contract))


@pytest.mark.slow
def test_the_last_touch_that_is_not_direct_and_the_last_user_of_a_visitor_are_the_published_ones(
    tmp_path: Path,
) -> None:
    events, orders, lines = [], [], []

    def event(visitor: str, seconds: int, customer: str, **tags: str) -> datetime:
        at = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        tagged = {name: tags.get(name, "") for name in ("utm_source", "utm_medium", "utm_campaign")}
        events.append({
            "event_id": f"e{len(events)}", "visitor_id": visitor, "customer_id": customer, "event_at": at,
            "event_type": "page_view", **tagged,
        })  # fmt: skip
        return at

    for case in _cases(f"{LAST_NON_DIRECT}input_stg_ga4__sessions_traffic_sources_daily"):
        tags = {f"utm_{name}": case[f"session_{name}"] for name in ("source", "medium", "campaign")}
        direct = case["session_source"] == "(direct)"
        at = event(case["client_key"], int(case["session_partition_timestamp"]), "buyer", **({} if direct else tags))
        order = case["session_partition_key"]
        orders.append({
            "order_id": order, "customer_id": "buyer", "channel_id": "web", "ordered_at": at + timedelta(minutes=1),
            "currency": "EUR", "status": "completed",
        })  # fmt: skip
        lines.append({
            "order_line_id": order, "order_id": order, "product_id": "p", "quantity": 1, "unit_price": 10, "tax_rate": 0,
        })  # fmt: skip
    for case in _cases(f"{USER_MAPPING}input_stg_ga4__events"):
        event(case["client_key"], 1_685_000_000 + int(case["event_timestamp"]), case["user_id"])
    for table, rows in (("web_events", events), ("orders", orders), ("order_lines", lines)):
        _deliver(tmp_path, table, rows)
    shop = Retailer(tmp_path, {
        "FIDELIS_CONTRACTS": str(tmp_path / "contracts"), "FIDELIS_FIRST_DAY": "2023-06-30", "FIDELIS_TIMEZONE": "UTC",
        "FIDELIS_CURRENCY": "EUR",
    })  # fmt: skip
    shop.fidelis("run")

    credited = shop.query("""
        select shared.order_id, first_orders.order_id, shared.share
        from mart.order_attribution as shared
        join mart.fct_web_sessions as sessions on shared.touch_id = 'session:' || sessions.session_id
        join mart.fct_orders as first_orders on first_orders.ordered_at = sessions.started_at + interval 1 minute
        where model = 'last_non_direct' order by 1
    """)
    expected = _cases(f"{LAST_NON_DIRECT}expected")
    assert credited == [
        (case["session_partition_key"], case["session_partition_key_last_non_direct"], 1) for case in expected
    ]

    with duckdb.connect(str(shop.datamart.parent / "restricted" / "personal.duckdb"), read_only=True) as con:
        account = dict(
            con.execute(
                "select customer_id, source_id from restricted.customer_identity "
                "where record_kind = 'account' and known_until is null"
            ).fetchall()
        )
    found = shop.query("select visitor_id, customer_id from mart.fct_web_sessions where visitor_id <> 'A'")
    mapped = {case["client_key"]: case["last_seen_user_id"] for case in _cases(f"{USER_MAPPING}expected")}
    assert {visitor: account.get(customer) for visitor, customer in found} == {**mapped, "d1": None}
