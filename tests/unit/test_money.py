"""Amounts are rounded to cents, half away from zero, exactly: by both ways that the macros take, and where one ends."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.settings import DBT_PROJECT_DIR


@pytest.fixture(scope="module")
def money() -> Any:
    """The macros of money, rendered for DuckDB as dbt does."""
    environment = jinja2.Environment()
    module: Any = None
    environment.globals["adapter"] = SimpleNamespace(dispatch=lambda name, _: getattr(module, f"duckdb__{name}"))
    module = environment.from_string((DBT_PROJECT_DIR / "macros" / "dialect" / "money.sql").read_text()).module
    return module


def rounded(exact: Decimal) -> Decimal:
    """Python's own decimals say what is right."""
    with localcontext() as context:
        context.prec = 60
        return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def numbers(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    """Decimals of many sizes, half cents among them."""
    whole = st.integers(-(10**digits), 10**digits)
    halves = st.integers(-(10**6), 10**6).map(lambda n: Decimal(n) / 2000)
    return st.one_of(whole.map(lambda n: Decimal(n).scaleb(-places)), halves)


@given(amounts=st.lists(numbers(20, 7), min_size=1, max_size=30), rate=st.sampled_from(["1", "1.08734521", "0.00731"]))
def test_an_amount_times_its_rate_is_rounded_once(money: Any, amounts: list[Decimal], rate: str) -> None:
    with duckdb.connect() as con:
        con.execute("create table t (n integer, amount decimal(38, 7), rate decimal(18, 8))")
        con.executemany("insert into t values (?, ?, ?)", [(n, str(a), rate) for n, a in enumerate(amounts)])
        got = con.execute(f"select {money.convert_amount('amount', 'rate')} from t order by n").fetchall()
    with localcontext() as context:
        context.prec = 60
        assert [g for (g,) in got] == [rounded(a * Decimal(rate)) for a in amounts]


@given(products=st.lists(numbers(22, 8), min_size=1, max_size=30))
def test_where_18_digits_end_38_go_on(money: Any, products: list[Decimal]) -> None:
    with duckdb.connect() as con:
        con.execute("create table t (n integer, product decimal(38, 8))")
        con.executemany("insert into t values (?, ?)", [(n, str(p)) for n, p in enumerate(products)])
        got = con.execute(f"select {money.to_cents('product', 8)} from t order by n").fetchall()
    assert [g for (g,) in got] == [rounded(p) for p in products]


@given(factors=st.lists(st.tuples(numbers(13, 3), numbers(9, 4)), min_size=1, max_size=30))
def test_a_product_is_exact_in_64_bits_and_in_128(money: Any, factors: list[tuple[Decimal, Decimal]]) -> None:
    factors = [(a.quantize(Decimal("0.001")), b.quantize(Decimal("0.0001"))) for a, b in factors]
    with duckdb.connect() as con:
        con.execute("create table t (n integer, quantity decimal(18, 3), price decimal(18, 4))")
        con.executemany("insert into t values (?, ?, ?)", [(n, str(a), str(b)) for n, (a, b) in enumerate(factors)])
        got = con.execute(f"select {money.product_in_cents('quantity', 'price')} from t order by n").fetchall()
    with localcontext() as context:
        context.prec = 60
        assert [g for (g,) in got] == [rounded(a * b) for a, b in factors]


def test_what_is_not_known_stays_so(money: Any) -> None:
    sql = money.convert_amount("cast(null as decimal(38, 7))", "cast(1 as decimal(18, 8))")
    product = money.product_in_cents("cast(null as decimal(18, 3))", "cast(1 as decimal(18, 4))")
    with duckdb.connect() as con:
        assert con.execute(f"select {sql}, {product}").fetchone() == (None, None)
