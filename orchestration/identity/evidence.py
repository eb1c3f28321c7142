"""What the raw zone says about source records: accounts in all their versions, guest orders, visitors.

Every version of an account that was ever accepted is evidence, so that a person who moves or takes another address is
still recognised by the old one. Tables made in the working database:

``record``   node, kind, source_id, source_system, first_seen, is_inferred: one row per account and guest order, numbered
             by seniority (first delivery day, kind, id), so that a cluster's smallest node is its founder.
``state``    node, state_id, and the normal forms: one row per account and distinct version of it.
``guest``    node, email of guest orders.
``visit``    visitor_id, node of whom a visitor was seen as, how (signed_in, ordered); some more than once.
``seen``     visitor_id, customer_id, order_id, day: what was seen of each visitor who is no robot, first on which delivery day; some
             of it by several agents.
"""

from collections.abc import Mapping, Set
from datetime import date

import duckdb

from orchestration import raw_zone
from orchestration.contracts import Contract, default_contracts
from orchestration.identity import values
from orchestration.identity.growing import ANY, FIRST, LAST, SUM, Growing
from orchestration.identity.ruleset import Ruleset
from orchestration.rules import quote_text
from orchestration.settings import DBT_PROJECT_DIR, Settings

#: Which user agents are robots', and how many events in half an hour are no person's: the seed that marks sessions in the mart.
BOT_RULES = DBT_PROJECT_DIR / "seeds" / "web_bot_rules.csv"

ACCOUNT, GUEST, VISITOR = "account", "guest_order", "visitor"
COLUMNS = ("email", "phone", "first_name", "last_name", "street", "postal_code", "city", "loyalty_number")
#: Source tables that identities are found in.
TABLES = ("customers", "orders", "campaign_messages", "web_events")
ATTRIBUTES = (*COLUMNS, "country", "birth_date", "gender")


def _raw(
    settings: Settings,
    contracts: Mapping[str, Contract],
    table: str,
    through: date | None,
    days: Set[date] | None = None,
) -> str:
    contract = contracts.get(table)
    query = (
        raw_zone.relation(settings, contract, days) if contract else raw_zone.empty_relation(default_contracts()[table])
    )
    limit = f" where _delivery_date <= date '{through}'" if through else ""
    return f"(select * from ({query}){limit})"


def gather(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: Mapping[str, Contract],
    rules: Ruleset,
    growing: Growing,
    through: date | None = None,
) -> None:
    """Make the tables above out of all deliveries up to and including ``through`` (None: all); ``growing`` says which are known already."""
    new = {table: _raw(settings, contracts, table, through, growing.new_days(table)) for table in TABLES}
    growing.add(
        "delivered",
        "customers",
        ["source_id"],
        {"source_system": LAST, "first_seen": FIRST},
        "select customer_id as source_id, max_by(source_system, _delivery_date) as source_system, min(_delivery_date) as first_seen "
        f"from {new['customers']} group by customer_id",
    )
    # an order's last delivery says who ordered
    growing.add(
        "order_said",
        "orders",
        ["order_id"],
        {"customer_id": LAST, "email": LAST, "first_seen": FIRST, "is_test": ANY},
        "select order_id, max_by(customer_id, _delivery_date) as customer_id, "
        "max_by(nullif(trim(guest_email), ''), _delivery_date) as email, min(_delivery_date) as first_seen, bool_or(is_test) as is_test "
        f"from {new['orders']} group by order_id",
    )
    growing.add(
        "addressed",
        "campaign_messages",
        ["source_id"],
        {"first_seen": FIRST},
        "select customer_id as source_id, min(_delivery_date) as first_seen "
        f"from {new['campaign_messages']} where customer_id is not null group by customer_id",
    )
    growing.add(
        "told",
        "web_events",
        ["visitor_id", "customer_id", "order_id", "user_agent"],
        {"day": FIRST, "events": SUM},
        "select visitor_id, customer_id, order_id, user_agent, min(_delivery_date) as day, count(*) as events "
        f"from {new['web_events']} group by all",
    )
    con.execute(
        "create view ordered as select order_id, first_seen, email, is_test, "
        f"case when customer_id is not null then '{ACCOUNT}' else '{GUEST}' end as kind, "
        "coalesce(customer_id, order_id) as source_id from order_said"
    )
    con.execute(
        "create table guest_written as select source_id, email, first_seen from ordered "
        f"where kind = '{GUEST}' and email is not null and coalesce(is_test, false) = false"
    )
    _seen(con, _raw(settings, contracts, "web_events", through))
    _records(con)
    _states(con, rules, growing, new["customers"])
    values.learn(con, "guest_written", rules, ("email",))
    con.execute(
        f"create table guest as select r.node, v.normal as email from guest_written as g "
        f"join record as r on r.kind = '{GUEST}' and r.source_id = g.source_id "
        "left join known_value as v on v.kind = 'email' and v.country = '' and v.written = g.email"
    )
    con.execute(
        f"""
        create table visit as
        select e.visitor_id, r.node, '1 signed_in' as how
        from seen as e join record as r on r.kind = '{ACCOUNT}' and r.source_id = e.customer_id
        union all
        select e.visitor_id, r.node, '2 ordered'
        from (from seen where order_id is not null) as e join ordered as o on o.order_id = e.order_id
        join record as r on r.kind = o.kind and r.source_id = o.source_id
        """
    )


def _fields() -> str:
    return ", ".join(f"coalesce(cast({name} as varchar), '')" for name in ATTRIBUTES)


def _states(con: duckdb.DuckDBPyConnection, rules: Ruleset, growing: Growing, accounts: str) -> None:
    """Table ``state``; of what is new (SQL), each distinct version once. An address that is not verified is left out."""
    verified = f"coalesce(is_email_verified, {rules.email.verified_where_unknown})"
    columns = ", ".join(
        f"case when {verified} then nullif(trim(email), '') end as email"
        if c == "email"
        else f"nullif(trim({c}), '') as {c}"
        for c in COLUMNS
    )
    con.execute(
        f"create table written as select customer_id as source_id, {columns}, country, birth_date, gender, "
        f"min(_delivery_date) as first_seen from {accounts} group by all"
    )
    values.learn(con, "written", rules, COLUMNS)
    days = ", ".join(f"date '{day}'" for day in sorted(rules.unknown_birth_dates))
    unknown = f"birth_date in ({days}) or " if days else ""
    normal = values.joined(
        "written",
        COLUMNS,
        "t.source_id, t.country, t.gender, t.first_seen, "
        f"case when {unknown} t.birth_date < date '1900-01-01' then null else t.birth_date end as birth_date",
    )
    growing.add(
        "version",
        "customers",
        ["source_id", "state_id"],
        {**dict.fromkeys(ATTRIBUTES, "any_value({0})"), "first_seen": FIRST},
        f"select source_id, {', '.join(ATTRIBUTES)}, min(first_seen) as first_seen, "
        f"md5_number_lower(concat_ws(chr(31), source_id, {_fields()})) as state_id from ({normal}) group by all",
    )
    con.execute(
        "create table state as select node, version.* from version "
        f"join record on record.kind = '{ACCOUNT}' and record.source_id = version.source_id"
    )


def _seen(con: duckdb.DuckDBPyConnection, events: str) -> None:
    """What people's events say of each visitor: those of agents that the mart takes for robots, and bursts of events, say nothing."""
    con.execute(
        f"create temp table bot_rule as select * from read_csv({quote_text(BOT_RULES)}, header = true, "
        "columns = {'rule_type': 'varchar', 'pattern': 'varchar', 'limit_value': 'bigint'})"
    )
    least = con.execute("select min(limit_value) from bot_rule where rule_type = 'events_per_half_hour'").fetchall()[0][
        0
    ]
    con.execute(
        f"create temp table busy as select visitor_id from told group by visitor_id having sum(events) >= {least or 'null'}"
    )
    con.execute("create temp table calm as select visitor_id, customer_id, order_id, user_agent, day from told limit 0")
    if con.execute("select count(*) from busy").fetchall()[0][0]:
        con.execute(
            "insert into calm select visitor_id, customer_id, order_id, user_agent, _delivery_date from ("
            "select *, count(*) over (partition by visitor_id, floor(epoch(event_at) / 1800)) as events "
            f"from {events} semi join busy using (visitor_id)) where events < {least}"
        )
    con.execute(
        "create table seen as select visitor_id, customer_id, order_id, day from ("
        "select * exclude (events) from told anti join busy using (visitor_id) union all from calm) "
        "where user_agent is null or user_agent not in (select agent from ("
        "select distinct user_agent as agent from told where user_agent is not null) "
        "join bot_rule on rule_type = 'agent_contains' and contains(lower(agent), pattern))"
    )


def _records(con: duckdb.DuckDBPyConnection) -> None:
    """Accounts, delivered or only referred to, and guest orders with an address; numbered by seniority."""
    con.execute(
        f"""
        create table record as
        select row_number() over (order by first_seen, kind, source_id) - 1 as node, * from (
            select '{ACCOUNT}' as kind, source_id, max(source_system) as source_system,
                min(first_seen) as first_seen, bool_and(is_reference) as is_inferred
            from (
                select source_id, source_system, first_seen, false as is_reference from delivered
                union all
                select source_id, null, first_seen, true from ordered where kind = '{ACCOUNT}'
                union all
                select source_id, null, first_seen, true from addressed
                union all
                select customer_id, null, min(day), true from seen where customer_id is not null group by customer_id
            ) group by source_id
            union all
            select '{GUEST}', source_id, 'guest', first_seen, false from guest_written
        )
        """
    )
