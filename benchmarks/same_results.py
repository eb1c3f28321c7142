"""Do Fidelis and the yardstick's program say the same of the same files? Figures that both compute, as text, to be equal."""

from pathlib import Path

import duckdb

# name, query on our mart, query on the yardstick's database
_FIGURES = (
    ("order lines", "select count(*) from fct_order_lines", "select count(*) from fct_order_lines"),
    (
        "net amount of all lines",
        "select sum(gross_amount - discount_amount) from fct_order_lines",
        "select sum(net_amount) from fct_order_lines",
    ),
    ("kept orders", "select count(*) from fct_orders where is_kept", "select count(*) from fct_orders"),
    (
        "net amount of kept orders",
        "select sum(net_amount) from fct_orders where is_kept",
        "select sum(net_amount) from fct_orders",
    ),
    (
        "margin of kept orders",
        "select sum(margin_amount) from fct_orders where is_kept",
        "select sum(margin) from fct_orders",
    ),
    ("sessions", "select count(*) from fct_web_sessions", "select count(*) from fct_web_sessions"),
    (
        "starts, ends and events of sessions",
        """select sum(epoch(started_at)::bigint) || ' ' || sum(epoch(ended_at)::bigint) || ' ' || sum(product_views) || ' '
            || sum(purchases) from fct_web_sessions""",
        """select sum(epoch(started_at)::bigint) || ' ' || sum(epoch(ended_at)::bigint) || ' ' || sum(n_product_views) || ' '
            || sum(n_purchases) from fct_web_sessions""",
    ),
    *(
        (
            f"messages {ours}",
            f"select count(*) from fct_campaign_messages where reaction in ('{ours}', '{also}')",
            f"select count(*) from fct_campaign_responses where outcome = '{theirs}'",
        )
        for ours, also, theirs in (
            ("converted", "", "sale"),
            ("clicked", "", "click"),
            ("opened", "", "open"),
            ("no_reaction", "pending", "no_reaction"),
        )
    ),
    (
        "RFM: customers, recency and first-to-last month",
        """select count(*) || ' ' || sum(recency_days) || ' ' || count(distinct snapshot_date)
            from customer_rfm_monthly where snapshot_date <= date '2025-12-31'""",
        "select count(*) || ' ' || sum(recency) || ' ' || count(distinct snapshot) from rfm_monthly",
    ),
    (
        "RFM of the last month: customers, frequency and monetary over 24 months",
        """select count(*) || ' ' || sum(frequency) || ' ' || cast(sum(monetary) as decimal(18, 2))
            from customer_rfm_monthly where snapshot_date = date '2025-12-31'""",
        """select count(distinct customer_id) || ' ' || count(*) filter (is_recent) || ' '
                || cast(sum(net_amount) filter (is_recent) as decimal(18, 2))
            from (select *, order_date > date '2023-12-31' as is_recent from fct_orders)""",
    ),
    (
        "past value, first 12 months after the first order: net and margin",
        """select cast(sum(net_amount) as decimal(18, 2)) || ' ' || cast(sum(margin_amount) as decimal(18, 2))
            from (select o.*, min(order_date) over (partition by customer_id) as first_date from fct_orders as o where is_kept)
            where order_date < first_date + interval 12 month""",
        """select sum(net_amount) || ' ' || sum(margin)
            from (select o.*, min(order_date) over (partition by customer_id) as first_date from fct_orders as o)
            where order_date < first_date + interval 12 month""",
    ),
)


def compare(mart: Path, yardstick: Path) -> list[tuple[str, str, str]]:
    """Each figure's name, ours and theirs."""
    with duckdb.connect(str(mart), read_only=True) as ours, duckdb.connect(str(yardstick), read_only=True) as theirs:
        ours.execute("use mart")
        return [
            (name, str(ours.execute(mine).fetchall()[0][0]), str(theirs.execute(bare).fetchall()[0][0]))
            for name, mine, bare in _FIGURES
        ]
