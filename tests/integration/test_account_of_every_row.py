"""Every equation of the account can fail: one row or one cent changed anywhere, and the check of that step is red."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import accounting, dbt_runner, dbt_tests, identity, raw_zone, warehouse
from orchestration.contracts import default_contracts
from orchestration.extraction import extract
from orchestration.sample import generate
from orchestration.settings import Settings
from tests.support.world import DAY, csv_text, deliver, load, raw_rows, sale, sales_contract, settings_in

FIRST, LAST = date(2024, 1, 1), date(2024, 2, 10)
STEPS = ("read_to_raw", "raw_to_staging", "staging_to_facts", "lines_to_orders", "facts_to_marts")
KEYS = {"stg_shop__orders": ("orders", "order_id"), "stg_web__events": ("web_events", "event_id")}
KEYS |= {"stg_shop__order_lines": ("order_lines", "order_line_id"), "stg_shop__returns": ("returns", "return_id")}
KEYS |= {"stg_marketing__reactions": ("campaign_reactions", "reaction_id")}
#: one row of a table's latest delivery
LATEST = "rowid = (select max(rowid) from {0} where delivery_date = (select max(delivery_date) from {0}))"


def test_the_index_says_what_the_files_hold_by_currency(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(1), sale(2, amount="0.25"), sale(3, amount="-1"), sale(4, amount="")]))
    load(settings, contract)
    held = raw_zone.partitions(settings, "sales")[DAY].held
    assert held == {"": {"rows": "3", "amount": "1.75"}}
    assert raw_rows(settings, contract, "count(*), sum(amount)") == [(3, Decimal("1.75"))]


def test_days_loaded_before_the_index_counted_its_files_are_counted(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    contract = sales_contract(tmp_path)
    deliver(settings, csv_text([sale(1), sale(2)]))
    partition = load(settings, contract)
    raw_zone.commit(settings, "sales", {DAY: replace(partition, held={})})
    with duckdb.connect() as con:
        con.execute("create schema control")
        accounting.show_deliveries(con, settings, {"sales": contract})
        assert con.execute("select rows_read, rows_held from control.raw_deliveries").fetchall() == [(2, 2)]
        assert con.execute("from control.raw_sums order by measure").fetchall() == [
            ("sales", DAY, None, "amount", Decimal(4)),
            ("sales", DAY, None, "rows", Decimal(2)),
        ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Six weeks of a sample with dirt, built."""
    folder = tmp_path_factory.mktemp("account")
    settings = Settings(_env_file=None, home=folder / "home", landing=folder / "landing", threads=1)
    settings.export()
    generate(settings.landing_dir, customers=200, start=FIRST, end=LAST, seed=3, dirt=0.01)
    for contract in default_contracts().values():
        extract(settings, contract, [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)], accept_missing=True)
    identity.build(settings, default_contracts(), LAST)
    warehouse.prepare(settings, default_contracts())
    assert {r.status for r in dbt_runner.build(settings, [], whole=True)} == {"pass"}
    shutil.copytree(settings.warehouse_dir, folder / "good")
    shutil.copytree(settings.raw_dir, folder / "good_raw")
    return settings


@pytest.fixture
def copy(built: Settings) -> Iterator[Settings]:
    """The build as it was before the test before broke it."""
    yield built
    for target, good in ((built.warehouse_dir, "good"), (built.raw_dir, "good_raw")):
        shutil.rmtree(target)
        shutil.copytree(built.home.parent / good, target)


def red(settings: Settings, *broken: str) -> dict[str, str]:
    """Run SQL on the build database, draw up the account, and return the checks that fail with their Markdown."""
    with duckdb.connect(str(settings.warehouse_dir / warehouse.WAREHOUSE)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach '{settings.warehouse_dir / warehouse.DATAMART}' as datamart")
        for statement in broken:
            changed = con.execute(statement).fetchall()
            assert changed == [(1,)], f"{statement} changed {changed} rows"
    models = ["--select", "path:models/intermediate/audit", "path:models/marts/audit"]
    results = dbt_runner.build(settings, models, whole=False)
    tests = [n for n in dbt_runner.load_manifest(settings)["nodes"] if n.startswith("test.fidelis.account_")]
    assert len(tests) == len(STEPS)
    found = {r.unique_id.split(".")[2]: r.status for r in dbt_tests.run(settings, tests, results)}
    account = warehouse.account(settings)
    return {name: account[name] for name, status in found.items() if status == "fail"}


@pytest.mark.slow
def test_a_good_build_balances_and_what_came_again_is_what_the_keys_say(copy: Settings) -> None:
    assert red(copy) == {}
    account = warehouse.account(copy)
    assert set(account) == {f"account_{step}" for step in STEPS}
    assert all(len(table.splitlines()) <= 65 for table in account.values())
    with duckdb.connect(str(copy.warehouse_dir / warehouse.WAREHOUSE)) as con:
        con.execute(f"attach '{copy.warehouse_dir / warehouse.DATAMART}' as datamart (read_only)")
        for table, key in KEYS.values():
            again = con.execute(f"select count(*) - count(distinct {key}) from raw.{table}").fetchall()[0][0]
            named = con.execute(
                "select coalesce(sum(excluded_value), 0) from datamart.mart.audit_exclusions "
                "where step = 'raw_to_staging' and table_name = ? and measure = 'rows'",
                [table],
            ).fetchall()[0][0]
            assert named == again, table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "statements"),
    [
        pytest.param(steps, statements, id=name)
        for name, steps, *statements in [
            ("a staged order is lost", "raw_to_staging staging_to_facts",
             "delete from staging.stg_shop__orders where " + LATEST.format("staging.stg_shop__orders")),
            ("a staged event is lost", "raw_to_staging staging_to_facts",
             "delete from staging.stg_web__events where " + LATEST.format("staging.stg_web__events")),
            ("a staged consent is lost", "raw_to_staging",
             "delete from staging.stg_crm__consents where " + LATEST.format("staging.stg_crm__consents")),
            ("a staged row of a day never loaded", "raw_to_staging staging_to_facts",
             "update staging.stg_marketing__messages set delivery_date = date '2020-01-01' where rowid = 0",
             "insert into staging.stg_marketing__messages from staging.stg_marketing__messages where rowid = 1"),
            ("a staged price is a cent higher", "raw_to_staging staging_to_facts",
             "update staging.stg_shop__order_lines set unit_price = unit_price + 0.01 where order_id in "
             "(select order_id from staging.stg_shop__orders) and " + LATEST.format("staging.stg_shop__order_lines")),
            ("a line is lost", "staging_to_facts lines_to_orders", "delete from datamart.mart.fct_order_lines where rowid = 7"),
            ("a line is there twice", "staging_to_facts lines_to_orders",
             "insert into datamart.mart.fct_order_lines from datamart.mart.fct_order_lines where rowid = 7"),
            ("a cent moves between currencies", "staging_to_facts lines_to_orders",
             ("update datamart.mart.fct_order_lines set gross_amount = gross_amount + 0.01 where rowid = "
             "(select min(rowid) from datamart.mart.fct_order_lines where currency = 'EUR')"),
             ("update datamart.mart.fct_order_lines set gross_amount = gross_amount - 0.01 where rowid = "
             "(select min(rowid) from datamart.mart.fct_order_lines where currency <> 'EUR')")),
            ("a return is a cent higher", "staging_to_facts lines_to_orders",
             "update datamart.mart.fct_returns set returned_amount = returned_amount + 0.01 where rowid = 0"),
            ("a cost is a cent higher", "staging_to_facts",
             "update datamart.mart.fct_campaign_costs set cost_amount = cost_amount + 0.01 where rowid = 0"),
            ("a message is lost", "staging_to_facts", "delete from datamart.mart.fct_campaign_messages where rowid = 0"),
            ("a reaction is lost", "staging_to_facts", "delete from datamart.mart.fct_campaign_reactions where rowid = 0"),
            ("a session lost an event", "staging_to_facts",
             "update datamart.mart.fct_web_sessions set events = events - 1 where rowid = 0"),
            ("a cancelled order is kept", "facts_to_marts",
             ("update datamart.mart.fct_orders set is_cancelled = false, is_kept = true where order_id = "
             "(select min(order_id) from datamart.mart.fct_orders where is_cancelled and not is_test and line_count > 0)")),
            ("a customer's value is a cent higher", "facts_to_marts",
             "update datamart.mart.customer_value set lifetime_net = lifetime_net + 0.01 where rowid = 0"),
            ("a customer is in no segment", "facts_to_marts", "delete from datamart.mart.customer_rfm where rowid = 0"),
            ("a month is a cent lower", "facts_to_marts",
             ("update datamart.mart.kpi_monthly set margin_amount = margin_amount - 0.01 where rowid = "
             "(select min(rowid) from datamart.mart.kpi_monthly where channel_id is null)")),
            ("a channel has an order more", "facts_to_marts",
             ("update datamart.mart.kpi_monthly set orders = orders + 1 where rowid = "
             "(select min(rowid) from datamart.mart.kpi_monthly where channel_id is not null)")),
            ("a cohort is a cent higher", "facts_to_marts",
             ("update datamart.mart.cohort_monthly set net_amount = net_amount + 0.01 where rowid = "
             "(select min(rowid) from datamart.mart.cohort_monthly where channel_id is null)")),
        ]
    ],
)  # fmt: skip
def test_the_step_that_lost_a_row_or_a_cent_is_red(copy: Settings, steps: str, statements: list[str]) -> None:
    failed = red(copy, *statements)
    assert set(failed) == {f"account_{step}" for step in steps.split()}
    for table in failed.values():  # the broken line stands first, with its numbers
        assert not table.splitlines()[2].endswith("| 0 |")


@pytest.mark.slow
@pytest.mark.parametrize(("change", "step"), [("rows_read", "read_to_raw"), ("held", "raw_to_staging")])
def test_an_index_that_says_something_else_is_red(copy: Settings, change: str, step: str) -> None:
    day, partition = max((d, p) for d, p in raw_zone.partitions(copy, "order_lines").items() if p.rows_loaded)
    sums = partition.held[""]
    wrong = {
        "rows_read": partition.rows_read + 1,
        "held": {"": sums | {"unit_price": str(Decimal(sums["unit_price"]) + 1)}},
    }
    raw_zone.commit(copy, "order_lines", {day: replace(partition, **{change: wrong[change]})})
    warehouse.prepare(copy, default_contracts())
    assert set(red(copy)) == {f"account_{step}"}
