"""A small mart made by hand, as dbt would have left it for publishing."""

import duckdb

from orchestration.settings import Settings
from orchestration.warehouse import DATAMART, RESTRICTED


def build_mart(settings: Settings, version: int = 1, *statements: str, rows: int = 3) -> None:
    """``datamart.duckdb`` anew: ``mart.fct_orders`` and ``mart.dim_customer``, every row carrying ``version``."""
    settings.warehouse_dir.mkdir(parents=True, exist_ok=True)
    file = settings.warehouse_dir / DATAMART
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("create schema mart")
        con.execute(
            f"create table mart.fct_orders as select i as order_id, {version} as version, "
            f"cast(i + 0.25 as decimal(18,2)) as net_amount from range({rows}) t(i)"
        )
        con.execute(
            f"create table mart.dim_customer as select 'C' || i as customer_id, {version} as version from range({rows}) t(i)"
        )
        con.execute("comment on table mart.fct_orders is 'Orders.'")
        con.execute("comment on column mart.fct_orders.net_amount is 'Net of discounts and returns.'")
        for statement in statements:
            con.execute(statement)


def build_restricted(settings: Settings) -> None:
    """The file that names persons."""
    file = settings.warehouse_dir / RESTRICTED
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("create schema restricted")
        con.execute(
            "create table restricted.customer_identities as select 'C1' as customer_id, 'a@example.com' as email"
        )
