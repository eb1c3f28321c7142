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
        con.execute(
            "create table household as select * from read_csv(?, header = true, all_varchar = true)",
            [str(home.landing_dir / "truth" / "households.csv")],
        )
        # a newsletter's reader without a name is whoever alone has the address
        con.execute(
            "create view named as select distinct customer_id from customers where first_name is not null and last_name is not null"
        )
        yield con


def pairs(con: duckdb.DuckDBPyConnection, which: str, by: str) -> int:
    """Pairs of records of ``which`` that agree in ``by``; a record without a customer is alone."""
    return con.execute(
        "with record as (select record_type, record_id, person_id, coalesce(customer_id, record_id) as customer_id "
        f"from truth left join found using (record_type, record_id) where {which}) "
        f"select coalesce(sum(n * (n - 1) // 2), 0)::bigint from (select count(*) as n from record group by {by})"
    ).fetchall()[0][0]


def test_records_are_joined_as_the_truth_has_them(con: duckdb.DuckDBPyConnection) -> None:
    both = pairs(con, "true", "customer_id, person_id")
    assert both >= 0.995 * pairs(con, "true", "customer_id")
    assert both >= 0.95 * pairs(con, "true", "person_id") > 1000


def test_accounts_alone_are_joined_as_the_truth_has_them(con: duckdb.DuckDBPyConnection) -> None:
    which = "record_type = 'account'"
    both = pairs(con, which, "customer_id, person_id")
    assert both >= 0.99 * pairs(con, which, "customer_id")
    assert both >= 0.93 * pairs(con, which, "person_id") > 200


@pytest.mark.parametrize(("kind", "at_least"), [("family_email", 15), ("twins", 4)])
def test_two_of_a_household_stay_two(kind: str, at_least: int, con: duckdb.DuckDBPyConnection) -> None:
    found = con.execute(
        "select h.person_id, bool_or(a.customer_id = b.customer_id) from household as h "
        "join truth as x on x.person_id = h.person_id and x.record_type = 'account' "
        "join truth as y on y.person_id = h.other_person_id and y.record_type = 'account' "
        "join named as p on p.customer_id = x.record_id join named as q on q.customer_id = y.record_id "
        "join found as a on a.record_type = 'account' and a.record_id = x.record_id "
        "join found as b on b.record_type = 'account' and b.record_id = y.record_id "
        f"where household = '{kind}' group by 1"
    ).fetchall()
    assert len(found) >= at_least
    assert [person for person, is_merged in found if is_merged] == []


def test_a_device_on_which_two_signed_in_is_nobodys(con: duckdb.DuckDBPyConnection) -> None:
    devices = con.execute(
        "select visitor_id, count(distinct truth.person_id) from household join web_events using (visitor_id) "
        "join truth on record_type = 'account' and record_id = web_events.customer_id group by 1 having count(distinct truth.person_id) = 2"
    ).fetchall()
    assert len(devices) >= 2
    owned = {row[0] for row in con.execute("select record_id from found where record_type = 'visitor'").fetchall()}
    assert not owned & {device for device, _ in devices}
