"""The sample's own truth: who the registry takes for one person, and who is."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from orchestration import identity, identity_files, raw_zone
from orchestration.contracts import default_contracts
from orchestration.extraction import extract
from orchestration.sample import generate
from tests.support.world import settings_in

START, END = date(2023, 9, 1), date(2023, 10, 30)

# What ties a record to its person: a name with more to it than the first name, a telephone, or an e-mail that another record of
# the person has too. A newsletter's reader under an address of his own, or a visitor who never signed in nor ordered, can be
# told by nobody; such records count where they are joined wrongly, and are not missed where they are not.
RECOGNISABLE = r"""
    address as (
        select 'account' as record_type, customer_id as record_id, email from customers
        union all
        select 'guest_order', order_id, guest_email from orders where customer_id is null
    ),
    plain as (
        select distinct record_type, record_id, person_id, lower(regexp_replace(email, '\+[^@]*', '')) as email
        from address join truth using (record_type, record_id) where email is not null
    ),
    shared as (select person_id, email from plain group by all having count(*) > 1),
    known as (
        select record_type, record_id from plain semi join shared using (person_id, email)
        union
        select 'account', customer_id from customers where last_name is not null or phone is not null
        union
        select 'visitor', visitor_id from web_events where customer_id is not null
        union
        select 'visitor', visitor_id from web_events join plain on record_type = 'guest_order' and record_id = order_id
    )
"""


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables ``truth`` and ``found`` (customer_id per source record) of a sample, and what was delivered."""
    home = settings_in(tmp_path_factory.mktemp("truth"))
    generate(home.landing_dir, customers=1500, start=START, end=END, seed=7)
    contracts = {t: c for t, c in default_contracts().items() if t in ("customers", "orders", "web_events")}
    days = [START + timedelta(n) for n in range((END - START).days + 1)]
    for contract in contracts.values():
        extract(home, contract, days)
    identity.build(home, contracts, END)
    with duckdb.connect() as con:
        for table, contract in contracts.items():
            con.execute(f"create view {table} as {raw_zone.relation(home, contract)}")
        con.execute(
            "create table truth as select * from read_csv(?, header = true, all_varchar = true)",
            [str(home.landing_dir / "truth" / "identities.csv")],
        )
        con.execute(
            "create table found as select record_kind as record_type, source_id as record_id, customer_id "
            f"from ({identity_files.relation(home, 'identities')})"
        )
        yield con


def pairs(con: duckdb.DuckDBPyConnection, which: str, by: str) -> int:
    """Pairs of records of ``which`` that agree in ``by``; a record without a customer is alone."""
    return con.execute(
        f"with {RECOGNISABLE}, record as (select record_type, record_id, person_id, coalesce(customer_id, record_id) as customer_id "
        f"from truth left join found using (record_type, record_id) where {which}) "
        f"select coalesce(sum(n * (n - 1) // 2), 0)::bigint from (select count(*) as n from record group by {by})"
    ).fetchall()[0][0]


IS_RECOGNISABLE = "(record_type, record_id) in (select (record_type, record_id) from known)"


@pytest.mark.parametrize("which", ["true", "record_type = 'account'"])
def test_records_are_joined_as_the_truth_has_them(which: str, con: duckdb.DuckDBPyConnection) -> None:
    everything, told = which, f"{which} and {IS_RECOGNISABLE}"
    assert pairs(con, everything, "customer_id, person_id") >= 0.995 * pairs(con, everything, "customer_id")
    assert pairs(con, told, "customer_id, person_id") >= 0.95 * pairs(con, told, "person_id")
    # what is left out is the smaller part
    assert pairs(con, told, "person_id") > 0.5 * pairs(con, everything, "person_id") > 100
