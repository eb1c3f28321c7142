"""The totals of the truth, recomputed from the landing files alone."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from orchestration.sample import generate
from orchestration.sample.layout import LAYOUTS

CONTRACTS = Path(__file__).parents[2] / "contracts"
START, END = date(2023, 9, 20), date(2024, 1, 31)

_CASTS = {"integer": "bigint", "date": "date", "timestamp": "timestamp", "boolean": "boolean"}


def _contract(table: str) -> Any:
    return yaml.safe_load((CONTRACTS / f"{table}.yaml").read_text(encoding="utf-8"))


def _load(con: duckdb.DuckDBPyConnection, out: Path, table: str) -> None:
    """All rows of a table as `raw_<table>`, typed as its contract says, with their delivery day."""
    contract = _contract(table)
    server = contract["servers"][0]
    glob = str(out / server["path"].replace("{date}", "*"))
    properties = {p["property"]: p["value"] for p in server["customProperties"]}
    if server["format"] == "parquet":
        reader = f"read_parquet('{glob}', filename = true)"
    elif server["format"] == "jsonl":
        headers = [p["physicalName"] for p in contract["schema"][0]["properties"]]
        fields = ", ".join(f"json ->> '$.{h}' as \"{h}\"" for h in headers)
        reader = f"(select {fields}, filename from read_ndjson_objects('{glob}', filename = true))"
    else:
        reader = (
            f"read_csv('{glob}', delim = '{server['delimiter']}', header = true, all_varchar = true, "
            "filename = true, quote = '\"', escape = '\"')"
        )
    columns = []
    for p in contract["schema"][0]["properties"]:
        kind = _CASTS.get(p["logicalType"], p.get("physicalType", "varchar"))
        source = f'"{p["physicalName"]}"' if "physicalName" in p else "null"
        if p["logicalType"] == "number" and properties.get("decimalSign") == ",":
            source = f"replace({source}, ',', '.')"
        value = f"cast({source} as {kind})"
        if kind == "timestamp" and properties["timezone"] != "UTC" and source != "null":
            assert properties["timezone"] == "Europe/Paris"
            value = f"utc({value})"
        columns.append(f"{value} as {p['name']}")
    con.execute(
        f"create table raw_{table} as select {', '.join(columns)}, "
        r"cast(regexp_extract(filename, '\d{4}-\d\d-\d\d') as date) as _delivery_date "
        f"from {reader}"
    )
    keys = ", ".join(p["name"] for p in contract["schema"][0]["properties"] if p.get("primaryKey"))
    con.execute(
        f"create table {table} as select * exclude (n) from (select *, row_number() over "
        f"(partition by {keys} order by _delivery_date desc) as n from raw_{table}) where n = 1"
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, customers=250, start=START, end=END, seed=11)
    return folder


@pytest.fixture(scope="module")
def con(out: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "2"}) as connection:
        # Paris by hand: the only switch of the range is on 2023-10-29, at 01:00 UTC
        connection.execute(
            "create macro paris(t) as t + case when t < timestamp '2023-10-29 01:00' then interval 2 hour "
            "else interval 1 hour end"
        )
        connection.execute(
            "create macro utc(t) as t - case when t < timestamp '2023-10-29 03:00' then interval 2 hour "
            "else interval 1 hour end"
        )
        for table in LAYOUTS:
            _load(connection, out, table)
        yield connection


@pytest.fixture(scope="module")
def truth(out: Path) -> dict[str, str]:
    lines = (out / "truth" / "totals.csv").read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split(",") for line in lines)


def one(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row[0]


AMOUNTS = """
with dated as (
    select *, cast(paris(ordered_at) as date) as order_date from orders
),
rated as (
    select d.*, case when d.currency = 'EUR' then cast(1 as decimal(9, 6)) else (
        select max_by(cast(e.rate as decimal(9, 6)), e.rate_date) from exchange_rates as e
        where e.currency = d.currency and e.rate_date <= d.order_date) end as rate
    from dated as d
),
back as (
    select r.order_line_id, sum(r.quantity) as quantity,
        sum(round(cast(r.amount as decimal(15, 2)) * o.rate, 2)) as amount
    from returns as r
    join order_lines as l using (order_line_id)
    join rated as o on o.order_id = l.order_id
    group by all
),
costs as (
    select product_id, unit_cost, row_number() over (partition by product_id order by _delivery_date) as n,
        _delivery_date as valid_from,
        lead(_delivery_date, 1, date '9999-12-31') over (partition by product_id order by _delivery_date) as valid_to
    from raw_products
),
priced as (
    select l.order_line_id, l.order_id, l.quantity,
        round(cast(l.quantity as decimal(9, 3)) * cast(l.unit_price as decimal(9, 2)) * o.rate, 2) as gross,
        round(cast(l.discount_amount as decimal(15, 2)) * o.rate, 2) as discount,
        coalesce(b.amount, 0) as returned, coalesce(b.quantity, 0) as returned_quantity,
        round(cast(l.quantity - coalesce(b.quantity, 0) as decimal(12, 3)) * cast(c.unit_cost as decimal(12, 4)), 2)
            as cost
    from order_lines as l
    join rated as o using (order_id)
    left join back as b using (order_line_id)
    join costs as c on c.product_id = l.product_id
        and o.order_date < c.valid_to and (o.order_date >= c.valid_from or c.n = 1)
)
select p.*, not o.is_test and o.status <> 'cancelled'
    and bool_or(p.returned_quantity < p.quantity) over (partition by p.order_id) as is_kept
from priced as p join orders as o using (order_id)
"""


def test_amounts_of_all_and_of_kept_orders_are_those_of_the_files(
    con: duckdb.DuckDBPyConnection, truth: dict[str, str]
) -> None:
    con.execute(f"create or replace temp table amounts as {AMOUNTS}")
    net = "gross - discount - returned"
    parts = {"gross": "gross", "discount": "discount", "returned": "returned", "net": net, "cost": "cost"}
    for prefix, condition in (("all", "true"), ("kept", "is_kept")):
        for name, sql in parts.items():
            expected = Decimal(truth[f"{prefix}_{name}_amount"])
            assert one(con, f"select sum({sql}) from amounts where {condition}") == expected, (prefix, name)
    assert one(con, "select count(*) from amounts") == int(truth["order_lines"])
    assert one(con, "select count(*) from amounts where is_kept") == int(truth["kept_order_lines"])
    assert one(con, "select count(distinct order_id) from amounts where is_kept") == int(truth["kept_orders"])
    assert Decimal(truth["kept_returned_amount"]) > 0


def test_rows_are_those_of_the_files(con: duckdb.DuckDBPyConnection, truth: dict[str, str]) -> None:
    counts = {
        "orders": "orders",
        "returns": "returns",
        "customers": "customers",
        "web_events": "web_events",
        "messages": "campaign_messages",
        "reactions": "campaign_reactions",
        "campaigns": "campaigns",
        "products": "products",
        "channels": "channels",
        "consents": "consents",
        "exchange_rates": "exchange_rates",
        "campaign_cost_days": "campaign_costs",
    }
    for metric, table in counts.items():
        assert one(con, f"select count(*) from {table}") == int(truth[metric]), metric
    assert one(con, "select sum(cost_amount) from campaign_costs") == Decimal(truth["campaign_cost_amount"])
    assert one(con, "select count(*) from campaign_messages where is_control") == int(truth["controls"])


def test_sessions_are_counted_on_the_events(con: duckdb.DuckDBPyConnection, truth: dict[str, str]) -> None:
    con.execute(
        "create or replace temp table gaps as select event_at - lag(event_at) over (partition by visitor_id "
        "order by event_at) as gap from web_events"
    )
    sessions = one(con, "select count(*) from gaps where gap is null or gap > interval 30 minute")
    assert sessions == int(truth["sessions"])
    # the border itself occurs, or a wrong comparison would go unseen
    assert one(con, "select count(*) from gaps where gap = interval 30 minute") > 0


@pytest.mark.parametrize("table", sorted(LAYOUTS))
def test_every_clean_row_satisfies_its_contract(table: str, con: duckdb.DuckDBPyConnection) -> None:
    schema = _contract(table)["schema"][0]
    rules = [(q["name"], q["implementation"]) for q in schema.get("quality", []) if q["engine"] == "duckdb"]
    for p in schema["properties"]:
        options = p.get("logicalTypeOptions", {})
        if p.get("required"):
            rules.append((f"{p['name']} required", f"{p['name']} is not null"))
        if p.get("enum"):
            allowed = ", ".join(f"'{e['value']}'" for e in p["enum"])
            rules.append((f"{p['name']} allowed", f"{p['name']} in ({allowed})"))
        if "pattern" in options and p["name"] != "email":
            rules.append((f"{p['name']} pattern", f"regexp_full_match({p['name']}, '{options['pattern']}')"))
        if "minimum" in options:
            rules.append((f"{p['name']} minimum", f"{p['name']} >= '{options['minimum']}'"))
    for name, rule in rules:
        assert one(con, f"select count(*) from raw_{table} where not ({rule})") == 0, name
    keys = ", ".join(p["name"] for p in schema["properties"] if p.get("primaryKey"))
    twice = f"select count(*) from (select 1 from raw_{table} group by {keys}, _delivery_date having count(*) > 1)"
    assert one(con, twice) == 0
    assert one(con, f"select count(*) from raw_{table}") > 0


@pytest.mark.parametrize(
    ("child", "column", "parent"),
    [
        ("orders", "customer_id", "customers"),
        ("orders", "channel_id", "channels"),
        ("orders", "campaign_id", "campaigns"),
        ("order_lines", "order_id", "orders"),
        ("order_lines", "product_id", "products"),
        ("returns", "order_line_id", "order_lines"),
        ("campaign_messages", "customer_id", "customers"),
        ("campaign_messages", "campaign_id", "campaigns"),
        ("campaign_reactions", "message_id", "campaign_messages"),
        ("campaign_reactions", "order_id", "orders"),
        ("web_events", "customer_id", "customers"),
        ("web_events", "order_id", "orders"),
        ("consents", "customer_id", "customers"),
    ],
)
def test_every_reference_of_the_clean_sample_is_known(
    child: str, column: str, parent: str, con: duckdb.DuckDBPyConnection
) -> None:
    unknown = f"select count(*) from {child} where {column} not in (select {column} from {parent})"
    assert one(con, unknown) == 0
    assert one(con, f"select count({column}) from {child}") > 0


def test_the_sample_holds_the_awkward_cases(con: duckdb.DuckDBPyConnection) -> None:
    cases = {
        "an order that comes again": "from raw_orders group by order_id having count(*) > 1",
        "a late order": "from orders o join raw_orders r using (order_id) group by o.order_id, o.ordered_at "
        "having min(r._delivery_date) > cast(o.ordered_at as date) + 1",
        "a cancellation after the first delivery": "from raw_orders group by order_id "
        "having bool_or(status = 'placed') and bool_or(status = 'cancelled')",
        "a guest": "from orders where customer_id is null and guest_email is not null",
        "an anonymous receipt": "from orders where customer_id is null and guest_email is null",
        "a test order": "from orders where is_test",
        "another currency": "from orders where currency <> 'EUR'",
        "a fraction of a unit": "from order_lines where quantity <> floor(quantity)",
        "a corrected line": "from raw_order_lines group by order_line_id having count(distinct discount_amount) > 1",
        "a withdrawn consent": "from consents group by customer_id, consent_type having bool_or(not is_granted) "
        "and bool_or(is_granted)",
        "a changed account": "from raw_customers group by customer_id having count(*) > 1",
        "a visit across midnight": "from web_events a join web_events b using (visitor_id) where b.event_at > a.event_at "
        "and b.event_at - a.event_at < interval 5 minute and cast(paris(a.event_at) as date) < cast(paris(b.event_at) as date)",
        "a visit on the night of the switch": "from web_events where event_at between "
        "timestamp '2023-10-29 00:00' and timestamp '2023-10-29 02:00'",
        "a machine's opening": "from campaign_reactions where user_agent like '%prefetch%'",
        "a conversion of a control": "from campaign_reactions join campaign_messages using (message_id) "
        "where is_control and reaction_type = 'converted'",
    }
    for name, sql in cases.items():
        assert one(con, f"select count(*) from (select 1 {sql})") > 0, name


def test_local_times_avoid_the_hours_that_do_not_exist_or_come_twice(out: Path) -> None:
    for pattern in ("shop/returns_2023-10-29.csv", "crm/consents_2023-10-29.csv", "crm/customers_2023-10-29.csv"):
        for path in out.glob(pattern):
            assert "2023-10-29 02:" not in path.read_text(encoding="utf-8")
