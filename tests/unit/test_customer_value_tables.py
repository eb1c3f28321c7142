"""The tables of predicted value: the last good version, the cent, and nothing delivered."""

from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from orchestration.customer_value import MODELS, InputError, mart
from orchestration.releases import publish
from orchestration.warehouse import DATAMART, reset
from tests.support.customer_worlds import sample_purchases
from tests.support.mart import build_mart
from tests.support.world import settings_in


def nothing_published() -> None:
    """No good version is known."""


@pytest.fixture(scope="module")
def sample_history():
    return sample_purchases()


@pytest.fixture
def relations(sample_history):
    con = duckdb.connect()
    days = {
        "customer_number": sample_history.customer,
        "order_date": pa.array(sample_history.day.astype(np.int32)).cast(pa.date32()),
        "net_amount": sample_history.net,
        "margin_amount": sample_history.margin,
    }
    con.register("days", pa.table(days))
    con.sql(
        "create table customers as select distinct customer_number, 'C' || lpad(cast(customer_number as varchar), 6, '0') "
        "as customer_id, 'FR' as market, '' as acquisition_channel_id from days"
    )
    con.sql("create table run_parameters as select date '1970-01-01' + 1095 as as_of_date")
    yield con.table("run_parameters"), con.table("customers"), con.table("days"), con
    con.close()


def test_the_last_good_version_is_the_published_one(tmp_path, monkeypatch, relations):
    """A full refresh, which removes the build database, does not lose it."""
    *inputs, con = relations
    made = settings_in(tmp_path)
    monkeypatch.setenv("FIDELIS_HOME", str(made.home))
    assert mart.previous() is None
    build_mart(made)
    publish(made, date(2024, 3, 1), {"passed": 1}, "inputs")
    assert mart.previous() is None  # a release of before there were any customer values
    good = mart.estimated(*inputs, con.from_arrow(mart.backtested(*inputs)), nothing_published)
    build_mart(made)
    with duckdb.connect(str(made.warehouse_dir / DATAMART)) as built:
        built.register("good", good)
        built.execute("create table mart.customer_ltv as from good")
    publish(made, date(2024, 3, 2), {"passed": 1}, "inputs")
    reset(made)
    assert mart.previous().equals(good)


def test_a_closed_gate_keeps_the_last_good_version_marked_stale(relations):
    *inputs, con = relations
    rows = mart.backtested(*inputs)
    good = mart.estimated(*inputs, con.from_arrow(rows), nothing_published)
    assert good["is_stale"].to_pylist() == [False] * len(good)
    worse = rows.set_column(rows.schema.get_field_index("coverage_80"), "coverage_80", pa.array([0.95] * len(rows)))
    # one customer was not known when the last good version was made
    last = good.slice(1)
    kept = mart.estimated(*inputs, con.from_arrow(worse), lambda: last)
    assert kept.num_rows == good.num_rows
    known = {r["customer_id"]: r for r in kept.to_pylist()}
    newcomer = known.pop(good["customer_id"][0].as_py())
    assert newcomer["p_alive"] is None
    assert newcomer["predicted_value_12m"] is None
    assert "95%" in newcomer["reason"]
    for row in last.to_pylist():
        assert known[row["customer_id"]] == {**row, "is_stale": True, "reason": newcomer["reason"]}
    findings = mart.findings(*inputs, con.from_arrow(worse)).to_pylist()
    assert findings[-1]["check_name"] == "back_test_gate"
    assert findings[-1]["passed"] is False


def test_values_are_written_to_the_cent_and_within_their_interval_order(relations):
    *inputs, con = relations
    table = mart.estimated(*inputs, con.from_arrow(mart.backtested(*inputs)), nothing_published)
    con.register("ltv", table)
    broken = con.sql(
        "select * from ltv where predicted_value_12m_low > predicted_value_12m_high or predicted_value_12m > predicted_value_36m "
        "or p_alive not between 0 and 1 or (p_alive <= 0.5 and expected_next_order_date is not null) "
        "or expected_next_order_date <= as_of_date or value_tier is null or churn_risk is null or model_version is null"
    )
    assert broken.fetchall() == []
    assert str(table.schema.field("predicted_value_24m_high").type) == "decimal128(18, 2)"
    shares = dict(con.sql("select value_tier, count(*) / sum(count(*)) over () from ltv group by 1").fetchall())
    assert shares["top"] == pytest.approx(0.05, abs=0.005)
    assert shares["high"] == pytest.approx(0.15, abs=0.005)


def test_customers_that_nights_append_are_read_like_those_of_one_refresh(relations):
    """Rows of a night's customers are at the end; numbers, which are not consecutive, become places in their order."""
    parameters, customers, days, con = relations
    spread = "* replace (customer_number * customer_number + 7 as customer_number)"
    numbers = con.sql(f"select {spread} from customers order by customer_id desc")
    night = "customer_number % 5 = 3"
    for part, which in (("kept", f"not ({night})"), ("night", night)):
        con.sql(f"create table {part} as select {spread} from days where {which} order by customer_number, order_date")
    one, other = (
        mart._Inputs(parameters, *inputs)
        for inputs in ((customers, days), (numbers, con.sql("from kept union all from night")))
    )
    for name in ("customer", "day", "net", "margin"):
        np.testing.assert_array_equal(getattr(one.history, name), getattr(other.history, name))
    assert one.customer_id.equals(other.customer_id)
    np.testing.assert_array_equal(one.groups.group, other.groups.group)
    with pytest.raises(InputError, match="have order days"):
        mart._Inputs(parameters, customers.limit(5), days)


def test_nothing_delivered_gives_empty_values_and_a_back_test_that_says_why():
    con = duckdb.connect()
    con.sql("create table r as select date '2024-01-01' as as_of_date")
    con.sql(
        "create table c(customer_number bigint, customer_id varchar, market varchar, acquisition_channel_id varchar)"
    )
    con.sql(
        "create table d(customer_number bigint, order_date date, net_amount decimal(18, 2), margin_amount decimal(18, 2))"
    )
    inputs = con.table("r"), con.table("c"), con.table("d")
    rows = mart.backtested(*inputs)
    assert rows["model"].to_pylist() == list(MODELS)
    assert rows["mae"].to_pylist() == [None] * 3
    assert mart.estimated(*inputs, con.from_arrow(rows), nothing_published).num_rows == 0
    findings = {f["check_name"]: f["passed"] for f in mart.findings(*inputs, con.from_arrow(rows)).to_pylist()}
    assert findings["back_test_gate"] is None
    assert findings["a_year_of_history"] is False
    con.close()
