"""The star schema, RFM of every month and past value in plain pandas: the way it is written in a notebook.

Run: python pandas_mart.py YARDSTICK_LANDING OUT. Writes a Parquet file a table; no gate, no check, no history of runs, no release.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

LAST = pd.Timestamp("2025-12-31")
WATCHED = ["first_name", "last_name", "email", "phone", "postcode", "city", "country", "tier", "marketing_consent"]
GRID = {
    "hibernating": [(1, 1), (1, 2), (2, 1), (2, 2)], "at_risk": [(1, 3), (1, 4), (2, 3), (2, 4)], "cant_lose": [(1, 5), (2, 5)],
    "about_to_sleep": [(3, 1), (3, 2)], "need_attention": [(3, 3)], "loyal": [(3, 4), (3, 5), (4, 4), (4, 5)],
    "promising": [(4, 1)], "new": [(5, 1)], "potential_loyalist": [(4, 2), (4, 3), (5, 2), (5, 3)], "champion": [(5, 4), (5, 5)],
}  # fmt: skip


def dim_customer(customers: pd.DataFrame) -> pd.DataFrame:
    """Versions of accounts: a row begins where something watched changed."""
    c = customers.sort_values(["customer_id", "updated_at"])
    before = c.groupby("customer_id")[WATCHED].shift()
    same = ((c[WATCHED] == before) | (c[WATCHED].isna() & before.isna())).all(axis=1) & c["customer_id"].eq(
        c["customer_id"].shift()
    )
    c = c[~same].copy()
    c["customer_key"] = np.arange(len(c))
    first = ~c["customer_id"].eq(c["customer_id"].shift())
    c["valid_from"] = c["updated_at"].where(~first, pd.Timestamp("1900-01-01"))
    c["valid_to"] = c.groupby("customer_id")["updated_at"].shift(-1).fillna(pd.Timestamp("2200-01-01"))
    return c


def fct_order_lines(lines, orders, products, dim) -> pd.DataFrame:
    """Lines with their order, the customer's version of that time and the product."""
    o = orders.sort_values("order_ts")
    versions = dim[["customer_id", "valid_from", "customer_key"]].sort_values("valid_from")
    o = pd.merge_asof(o, versions, left_on="order_ts", right_on="valid_from", by="customer_id")
    f = (
        lines.drop(columns="order_ts")
        .merge(o, on="order_id")
        .merge(products[["product_id", "unit_cost"]], on="product_id")
    )
    quantity, price, rate = (f[c].astype("float64") for c in ("quantity", "unit_price", "discount_rate"))
    f["gross_amount"] = (quantity * price).round(2)
    # half a cent goes up, as in the yardstick
    f["net_amount"] = np.floor(np.round(quantity * price * (1 - rate) * 100, 6) + 0.5) / 100
    f["cost_amount"] = (quantity * f["unit_cost"].astype("float64")).round(2)
    f["margin_amount"] = f["net_amount"] - f["cost_amount"]
    f["is_kept"] = f["status"] == "completed"
    return f


def fct_orders(lines: pd.DataFrame) -> pd.DataFrame:
    """One row an order, the customer's kept orders numbered."""
    o = lines.groupby("order_id", as_index=False).agg(
        customer_id=("customer_id", "first"), channel_id=("channel_id", "first"), ordered_at=("order_ts", "first"),
        is_kept=("is_kept", "first"), gross_amount=("gross_amount", "sum"), net_amount=("net_amount", "sum"),
        margin_amount=("margin_amount", "sum"),
    )  # fmt: skip
    o["order_date"] = o["ordered_at"].dt.normalize()
    kept = o[o["is_kept"]].sort_values(["customer_id", "ordered_at", "order_id"])
    o["order_number"] = kept.groupby("customer_id").cumcount() + 1
    o["days_since_previous_order"] = kept.groupby("customer_id")["order_date"].diff().dt.days
    return o


def fct_web_sessions(events: pd.DataFrame) -> pd.DataFrame:
    """Thirty minutes without an event end a session."""
    e = events.sort_values(["visitor_id", "event_ts", "event_id"])
    begins = e["visitor_id"].ne(e["visitor_id"].shift()) | (e["event_ts"].diff() > pd.Timedelta(minutes=30))
    e["session_id"] = begins.cumsum()
    for kind in ("page_view", "product_view", "add_to_cart", "purchase"):
        e[kind] = e["event_type"] == kind
    return e.groupby("session_id", as_index=False).agg(
        visitor_id=("visitor_id", "first"), customer_id=("customer_id", "max"), started_at=("event_ts", "min"),
        ended_at=("event_ts", "max"), page_views=("page_view", "sum"), product_views=("product_view", "sum"),
        add_to_carts=("add_to_cart", "sum"), purchases=("purchase", "sum"), utm_source=("utm_source", "first"),
        campaign_id=("campaign_id", "first"), landing_page=("page_path", "first"), device=("device", "first"),
    )  # fmt: skip


def fct_campaign_messages(messages: pd.DataFrame, reactions: pd.DataFrame) -> pd.DataFrame:
    """One row a message, its strongest reaction."""
    at = reactions.pivot_table(index="message_id", columns="reaction_type", values="reaction_ts", aggfunc="min")
    m = messages.merge(at, how="left", left_on="message_id", right_index=True)
    m["reaction"] = np.select(
        [m["sale"].notna(), m["click"].notna(), m["open"].notna()], ["converted", "clicked", "opened"], "no_reaction"
    )
    return m


def customer_rfm_monthly(orders: pd.DataFrame) -> pd.DataFrame:
    """Each month end: recency, frequency and monetary of 24 months, scores by percent rank, segment."""
    segment = {cell: name for name, cells in GRID.items() for cell in cells}
    kept = orders.loc[orders["is_kept"], ["customer_id", "order_date", "net_amount"]]
    months = []
    for end in pd.date_range(kept["order_date"].min(), LAST, freq="ME"):
        seen = kept[kept["order_date"] <= end]
        recent = seen[seen["order_date"] > end - pd.DateOffset(months=24)]
        s = seen.groupby("customer_id")["order_date"].max().to_frame("last_order")
        s["recency_days"] = (end - s["last_order"]).dt.days
        s[["frequency", "monetary"]] = recent.groupby("customer_id")["net_amount"].agg(["count", "sum"])
        s = s.fillna({"frequency": 0, "monetary": 0})
        for name, value in (("r", -s["recency_days"]), ("f", s["frequency"]), ("m", s["monetary"].round(2))):
            rank = (value.rank(method="min") - 1) / max(len(s) - 1, 1)
            s[f"{name}_score"] = np.minimum(1 + np.floor(5 * rank), 5).astype("int8")
        s["segment"] = [segment[cell] for cell in zip(s["r_score"], s["f_score"], strict=True)]
        s["snapshot_date"] = end
        months.append(s.reset_index())
    return pd.concat(months, ignore_index=True)


def customer_value(orders: pd.DataFrame) -> pd.DataFrame:
    """Net and margin of the last and of the first 12, 24 and 36 months."""
    kept = orders[orders["is_kept"]].copy()
    kept["first"] = kept.groupby("customer_id")["order_date"].transform("min")
    out = kept.groupby("customer_id")["first"].first().to_frame("first_order_date")
    for months in (12, 24, 36):
        last = kept[kept["order_date"] > LAST - pd.DateOffset(months=months)]
        early = kept[kept["order_date"] < kept["first"] + pd.DateOffset(months=months)]
        for name, part in ((f"last_{months}m", last), (f"first_{months}m", early)):
            sums = part.groupby("customer_id")[["net_amount", "margin_amount"]].sum()
            out[[f"net_{name}", f"margin_{name}"]] = sums
    return out.fillna({c: 0.0 for c in out.columns if c != "first_order_date"}).reset_index()


def main() -> None:
    """Read, build, write."""
    landing, out = Path(sys.argv[1]) / "parquet", Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    read = {p.name: pd.read_parquet(p) for p in landing.iterdir() if p.name != "identity"}
    tables = {"dim_product": read["products"], "dim_campaign": read["campaigns"], "dim_channel": read["channels"]}
    tables["dim_customer"] = dim_customer(read["customers"])
    tables["fct_order_lines"] = fct_order_lines(
        read["order_lines"], read["orders"], read["products"], tables["dim_customer"]
    )
    tables["fct_orders"] = fct_orders(tables["fct_order_lines"])
    tables["fct_web_sessions"] = fct_web_sessions(read.pop("web_events"))
    tables["fct_campaign_messages"] = fct_campaign_messages(read["campaign_messages"], read["campaign_reactions"])
    tables["customer_rfm_monthly"] = customer_rfm_monthly(tables["fct_orders"])
    tables["customer_value"] = customer_value(tables["fct_orders"])
    for name, table in tables.items():
        table.to_parquet(out / f"{name}.parquet", index=False)


if __name__ == "__main__":
    main()
