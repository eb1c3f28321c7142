"""After a build that replaced the rows of touched keys, data tests look at less, and find what tests of all rows find."""

import shutil
from collections.abc import Iterator

import duckdb
import pytest

from orchestration import dbt_runner, dbt_tests, warehouse
from orchestration.dbt_runner import NodeResult
from orchestration.settings import DBT_PROJECT_DIR, Settings

MODELS = {
    # orders of touched buyers are replaced too: their numbers are not among the touched ones
    "orders": """{{ config(materialized='incremental', meta={
    'touched_by': [
        {'table': 'control.touched_orders', 'columns': ['order_id']}, {'table': 'control.touched_buyers', 'columns': ['buyer']}
    ],
    'touched_where_null': ['buyer'], 'referenced': ['order_id']
}) }}
select order_id, buyer, amount from control.given_orders
{{ where_touched({'order_id': 'control.touched_orders', 'buyer': 'control.touched_buyers'}, also='buyer is null') }}""",
    "lines": """{{ config(materialized='incremental', meta={
    'touched_by': [{'table': 'control.touched_orders', 'columns': ['order_id']}], 'referenced': ['order_id']
}) }}
select line_id, order_id, product, amount from control.given_lines as lines
{{ semi_join_touched('control.touched_orders', 'lines', ['order_id']) }} union all from control.strays""",
    # what an update sets in all rows may break in those that stay
    "dues": """{{ config(
    materialized='incremental', post_hook="{% if touched_only() %}update {{ this }} set due = due - 1{% endif %}",
    meta={'touched_by': [{'table': 'control.touched_orders', 'columns': ['order_id']}]}
) }}
select order_id, amount as due from control.given_orders as orders
{{ semi_join_touched('control.touched_orders', 'orders', ['order_id']) }}""",
    "products": "{{ config(meta={'referenced': ['product']}) }} select product from control.given_products",
}
MODELS_YML = """
models:
  - name: orders
    columns:
      - name: buyer
        data_tests:
          - accepted_values: {name: buyers_known, arguments: {values: [b0, b1, b2, b3, b4]}}
          - accepted_values: {name: buyers_known_warns, arguments: {values: [b0, b1, b2, b3, b4]}, config: {severity: warn}}
    data_tests:
      - unique_grain: {name: orders_once, arguments: {columns: [order_id]}}
      - unique_grain: {name: orders_of_buyers_once, arguments: {columns: [buyer, order_id]}}
  - name: dues
    data_tests:
      - expression_is_true: {name: something_is_due, arguments: {expression: due > 0}}
  - name: lines
    columns:
      - name: order_id
        data_tests:
          - relationships: {name: lines_have_orders, arguments: {to: ref('orders'), field: order_id}}
      - name: product
        data_tests:
          - relationships: {name: lines_have_products, arguments: {to: ref('products'), field: product}}
    data_tests:
      - unique_grain: {name: lines_once, arguments: {columns: [line_id]}}
      - unique_grain: {name: lines_of_orders_once, arguments: {columns: [order_id, line_id]}}
      - expression_is_true: {name: amounts_are_paid, arguments: {expression: amount > 0}}
"""
BALANCE = """{{ config(meta={'by_key': {'tables': ['lines'], 'key': 'order_id', 'replaced_in': ['lines', 'orders']}}) }}
select order_id from (select order_id, sum(amount) as amount from {{ ref('lines') }} group by order_id) as lines
left join {{ ref('orders') }} as orders using (order_id) where lines.amount is distinct from orders.amount"""
TOUCHED = """
create or replace table control.touched_orders as select 'o7' as order_id;
create or replace table control.touched_buyers as select 'b3' as buyer;
"""


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A project of the real macros and the tables of its first, whole build: a hundred orders of five buyers, two lines each."""
    folder = tmp_path_factory.mktemp("nights")
    project = folder / "project"
    for name in ("models", "tests"):
        (project / name).mkdir(parents=True)
    shutil.copytree(DBT_PROJECT_DIR / "macros", project / "macros")
    (project / "profiles.yml").write_text((DBT_PROJECT_DIR / "profiles.yml").read_text())
    (project / "dbt_project.yml").write_text(
        "name: fidelis\nprofile: fidelis\nmodels: {+materialized: table, +on_schema_change: fail}\n"
    )
    for name, sql in MODELS.items():
        (project / "models" / f"{name}.sql").write_text(sql)
    (project / "models" / "_models.yml").write_text(MODELS_YML)
    (project / "tests" / "lines_sum_to_orders.sql").write_text(BALANCE)
    settings = Settings(home=folder / "home", cache=folder / "cache")
    settings.warehouse_dir.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse_dir / warehouse.WAREHOUSE)) as con:
        con.execute("""
            create schema control;
            create table control.build_plan as select true as is_whole, false as closes_month;
            create table control.given_orders as
            select 'o' || i as order_id, case when i < 95 then 'b' || i % 5 end as buyer, 30 as amount from range(100) as t(i);
            create table control.given_lines as
            select 'l' || i as line_id, 'o' || i // 2 as order_id, 'p' || i % 4 as product, 15 as amount from range(200) as t(i);
            create table control.strays as from control.given_lines limit 0;
            create table control.given_products as select 'p' || i as product from range(4) as t(i);
        """)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt_runner, "DBT_PROJECT_DIR", project)
        patch.setattr(dbt_tests, "SMALL_TABLE", 0)
        patch.setattr(dbt_tests, "FEW", 0.5)
        assert {r.status for r in dbt_runner.build(settings, [], whole=True)} == {"pass"}
        yield settings


@pytest.fixture
def night(first_night: Settings) -> Iterator[Settings]:
    """The first night's tables, put back afterwards."""
    kept = first_night.home / "kept"
    shutil.copytree(first_night.warehouse_dir, kept)
    yield first_night
    shutil.rmtree(first_night.warehouse_dir)
    kept.rename(first_night.warehouse_dir)


def build(settings: Settings, change: str) -> list[NodeResult]:
    """A night that replaces order 7 and the orders of buyer 3, after a change of what is given or of a table."""
    with duckdb.connect(str(settings.warehouse_dir / warehouse.WAREHOUSE)) as con:
        con.execute(f"attach '{settings.warehouse_dir / warehouse.DATAMART}' as datamart")
        con.execute(f"update control.build_plan set is_whole = false; {TOUCHED} {change}")
    return dbt_runner.build(settings, [], whole=False)


def failing(settings: Settings, *, replaced_only: bool) -> dict[str, int]:
    results = dbt_tests.run(settings, dbt_runner.data_tests(settings), [], replaced_only=replaced_only)
    assert {r.status for r in results} <= {"pass", "fail", "warn"}, [r.message for r in results if r.status == "error"]
    spared = {r.unique_id.split(".")[2] for r in results if r.of_replaced_rows}
    assert spared == (TESTS - {"buyers_known_warns", "something_is_due"} if replaced_only else set())
    return {r.unique_id.split(".")[2]: r.failures for r in results if r.status != "pass"}


TESTS = {
    "buyers_known", "buyers_known_warns", "orders_once", "orders_of_buyers_once", "lines_have_orders", "lines_have_products",
    "lines_once", "lines_of_orders_once", "amounts_are_paid", "lines_sum_to_orders", "something_is_due",
}  # fmt: skip
PLANTED: dict[str, tuple[str, dict[str, int]]] = {
    "nothing": ("", {}),
    "among replaced rows": (
        """
        insert into control.given_lines values ('l14', 'o7', 'p9', -1);
        update control.given_orders set buyer = 'b8' where order_id = 'o7';
        insert into control.given_orders values ('o99', null, 30);
        """,
        {
            "lines_once": 1, "lines_of_orders_once": 1, "lines_have_products": 1, "amounts_are_paid": 1, "buyers_known": 1,
            "buyers_known_warns": 1, "orders_once": 1, "orders_of_buyers_once": 1, "lines_sum_to_orders": 1,
        },
    ),
    "an update of rows that stay": ("update dues set due = 1 where order_id = 'o50'", {"something_is_due": 1}),
    "a row of a touched key like one that stays": (
        "update control.given_lines set line_id = 'l100' where line_id = 'l14'", {"lines_once": 1}
    ),
    "a row of a touched buyer like one that stays": (
        "update control.given_orders set order_id = 'o50' where order_id = 'o13'",
        {"orders_once": 1, "lines_have_orders": 2, "lines_sum_to_orders": 1},
    ),
    "parents gone from rows that stay": (
        "delete from control.given_orders where order_id = 'o13'; delete from control.given_products where product = 'p1'",
        {"lines_have_orders": 2, "lines_have_products": 50, "lines_sum_to_orders": 1},
    ),
    "sums that rows which stay do not make, and that replaced rows do not": (
        """
        update control.given_orders set amount = 31 where order_id = 'o13';
        update control.given_lines set amount = 16 where line_id = 'l14';
        """,
        {"lines_sum_to_orders": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_what_a_night_breaks_is_found_among_replaced_rows_and_beside_rows_that_stay(
    night: Settings, planted: str
) -> None:
    change, broken = PLANTED[planted]
    assert {r.status for r in build(night, change)} == {"pass"}
    assert failing(night, replaced_only=False) == broken
    assert failing(night, replaced_only=True) == broken


def test_what_was_broken_by_hand_in_rows_that_stay_is_found_when_all_rows_are_judged(night: Settings) -> None:
    """A row that no build made is not looked for in each night: the first night of a month, or a full refresh, finds it."""
    build(night, "insert into lines values ('l100', 'o50', 'p9', -15)")
    assert failing(night, replaced_only=True) == {}
    assert failing(night, replaced_only=False).keys() == {
        "lines_once", "lines_of_orders_once", "lines_have_products", "amounts_are_paid", "lines_sum_to_orders"
    }  # fmt: skip


def test_a_row_of_another_key_is_not_put_beside_those_that_stay(night: Settings) -> None:
    results = build(night, "insert into control.strays values ('l500', 'o50', 'p1', 15)")
    assert [
        (r.status, "lines: a row was recomputed whose key was not touched" in r.message)
        for r in results
        if "lines" in r.unique_id
    ] == [("error", True)]


def test_a_table_of_which_much_was_replaced_is_judged_whole(night: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    build(night, "")
    monkeypatch.setattr(dbt_tests, "FEW", 0.005)
    results = dbt_tests.run(night, dbt_runner.data_tests(night), [], replaced_only=True)
    assert not any(r.of_replaced_rows for r in results)
