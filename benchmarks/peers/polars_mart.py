"""The star schema, RFM of every month and past value in polars, lazily where it can be.

Run: python polars_mart.py YARDSTICK_LANDING OUT. Writes a Parquet file a table; no gate, no check, no history of runs, no release.
"""

import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

LAST = date(2025, 12, 31)
WATCHED = ["first_name", "last_name", "email", "phone", "postcode", "city", "country", "tier", "marketing_consent"]
R, F = pl.col("r_score"), pl.col("f_score")
SEGMENT = (
    pl.when((R <= 2) & (F <= 2)).then(pl.lit("hibernating")).when((R <= 2) & (F <= 4)).then(pl.lit("at_risk"))
    .when(R <= 2).then(pl.lit("cant_lose")).when((R == 3) & (F <= 2)).then(pl.lit("about_to_sleep"))
    .when((R == 3) & (F == 3)).then(pl.lit("need_attention")).when((R <= 4) & (F >= 4)).then(pl.lit("loyal"))
    .when((R == 4) & (F == 1)).then(pl.lit("promising")).when((R == 5) & (F == 1)).then(pl.lit("new"))
    .when(F <= 3).then(pl.lit("potential_loyalist")).otherwise(pl.lit("champion"))
)  # fmt: skip


def dim_customer(customers: pl.LazyFrame) -> pl.DataFrame:
    """Versions of accounts: a row begins where something watched changed."""
    known = pl.struct(WATCHED)
    return (
        customers.sort("customer_id", "updated_at")
        .filter(known.ne_missing(known.shift().over("customer_id")) | (pl.col("customer_id") != pl.col("customer_id").shift(fill_value=-1)))
        .with_row_index("customer_key")
        .with_columns(
            valid_from=pl.when(pl.col("customer_id") != pl.col("customer_id").shift(fill_value=-1))
            .then(datetime(1900, 1, 1)).otherwise(pl.col("updated_at")),
            valid_to=pl.col("updated_at").shift(-1).over("customer_id").fill_null(datetime(2200, 1, 1)),
        )
        .collect()
    )  # fmt: skip


def fct_order_lines(
    lines: pl.LazyFrame, orders: pl.LazyFrame, products: pl.LazyFrame, dim: pl.DataFrame
) -> pl.DataFrame:
    """Lines with their order, the customer's version of that time and the product."""
    versions = dim.lazy().select("customer_id", "valid_from", "customer_key").sort("valid_from")
    o = orders.sort("order_ts").join_asof(versions, left_on="order_ts", right_on="valid_from", by="customer_id")
    gross = pl.col("quantity").cast(pl.Float64) * pl.col("unit_price").cast(pl.Float64)
    net = (gross * (1 - pl.col("discount_rate").cast(pl.Float64)) * 100).round(6)
    return (
        lines.drop("order_ts").join(o, on="order_id").join(products.select("product_id", "unit_cost"), on="product_id")
        .with_columns(
            gross_amount=gross.round(2), net_amount=(net + 0.5).floor() / 100,
            cost_amount=(pl.col("quantity").cast(pl.Float64) * pl.col("unit_cost").cast(pl.Float64)).round(2),
            is_kept=pl.col("status") == "completed",
        )
        .with_columns(margin_amount=pl.col("net_amount") - pl.col("cost_amount"))
        .collect()
    )  # fmt: skip


def fct_orders(lines: pl.DataFrame) -> pl.DataFrame:
    """One row an order, the customer's kept orders numbered."""
    orders = lines.lazy().group_by("order_id").agg(
        pl.col("customer_id", "channel_id", "is_kept").first(), pl.col("order_ts").first().alias("ordered_at"),
        pl.col("gross_amount", "net_amount", "margin_amount").sum(),
    ).with_columns(order_date=pl.col("ordered_at").dt.date())  # fmt: skip
    kept = orders.filter("is_kept").sort("customer_id", "ordered_at", "order_id").select(
        "order_id",
        order_number=pl.int_range(1, pl.len() + 1).over("customer_id"),
        days_since_previous_order=pl.col("order_date").diff().over("customer_id").dt.total_days(),
    )  # fmt: skip
    return orders.join(kept, on="order_id", how="left").collect()


def fct_web_sessions(events: pl.LazyFrame) -> pl.DataFrame:
    """Thirty minutes without an event end a session."""
    kinds = ("page_view", "product_view", "add_to_cart", "purchase")
    return (
        events.sort("visitor_id", "event_ts", "event_id")
        .with_columns(
            session_id=(
                (pl.col("visitor_id") != pl.col("visitor_id").shift(fill_value=""))
                | (pl.col("event_ts").diff() > timedelta(minutes=30)).fill_null(True)
            ).cum_sum()
        )
        .group_by("session_id", maintain_order=True)
        .agg(
            pl.col("visitor_id").first(), pl.col("customer_id").max(), pl.col("event_ts").min().alias("started_at"),
            pl.col("event_ts").max().alias("ended_at"), *((pl.col("event_type") == k).sum().alias(f"{k}s") for k in kinds),
            pl.col("utm_source", "campaign_id").drop_nulls().first(), pl.col("page_path").first().alias("landing_page"),
            pl.col("device").first(),
        )
        .collect()
    )  # fmt: skip


def fct_campaign_messages(messages: pl.LazyFrame, reactions: pl.LazyFrame) -> pl.DataFrame:
    """One row a message, its strongest reaction."""
    at = [pl.col("reaction_ts").filter(pl.col("reaction_type") == k).min().alias(k) for k in ("open", "click", "sale")]
    return (
        messages.join(reactions.group_by("message_id").agg(at), on="message_id", how="left")
        .with_columns(
            reaction=pl.when(pl.col("sale").is_not_null()).then(pl.lit("converted"))
            .when(pl.col("click").is_not_null()).then(pl.lit("clicked"))
            .when(pl.col("open").is_not_null()).then(pl.lit("opened")).otherwise(pl.lit("no_reaction"))
        )
        .collect()
    )  # fmt: skip


def customer_rfm_monthly(orders: pl.DataFrame) -> pl.DataFrame:
    """Each month end: recency, frequency and monetary of 24 months, scores by percent rank, segment."""
    kept = orders.lazy().filter("is_kept").select("customer_id", "order_date", "net_amount")
    first = orders["order_date"].min()
    ends = pl.date_range(first.replace(day=1), LAST, "1mo", eager=True).dt.month_end()

    def score(value: pl.Expr) -> pl.Expr:
        rank = (value.rank("min") - 1) / pl.max_horizontal(pl.len() - 1, 1)
        return pl.min_horizontal(1 + (5 * rank).floor(), 5).cast(pl.Int8)

    def snapshot(end: date) -> pl.LazyFrame:
        is_recent = pl.col("order_date") > pl.lit(end).dt.offset_by("-24mo")
        return (
            kept.filter(pl.col("order_date") <= end)
            .group_by("customer_id")
            .agg(
                recency_days=(pl.lit(end) - pl.col("order_date").max()).dt.total_days(), frequency=is_recent.sum(),
                monetary=pl.col("net_amount").filter(is_recent).sum().round(2),
            )
            .with_columns(
                r_score=score(-pl.col("recency_days")), f_score=score(pl.col("frequency").cast(pl.Int64)),
                m_score=score(pl.col("monetary")), snapshot_date=pl.lit(end),
            )
            .with_columns(segment=SEGMENT)
        )  # fmt: skip

    return pl.concat([snapshot(end) for end in ends]).collect()


def customer_value(orders: pl.DataFrame) -> pl.DataFrame:
    """Net and margin of the last and of the first 12, 24 and 36 months."""
    kept = orders.lazy().filter("is_kept").with_columns(first=pl.col("order_date").min().over("customer_id"))
    sums = []
    for months in (12, 24, 36):
        last = pl.col("order_date") > pl.lit(LAST).dt.offset_by(f"-{months}mo")
        early = pl.col("order_date") < pl.col("first").dt.offset_by(f"{months}mo")
        for name, part in ((f"last_{months}m", last), (f"first_{months}m", early)):
            sums += [pl.col(f"{v}_amount").filter(part).sum().alias(f"{v}_{name}") for v in ("net", "margin")]
    return kept.group_by("customer_id").agg(pl.col("first").first().alias("first_order_date"), *sums).collect()


def main() -> None:
    """Read, build, write."""
    landing, out = Path(sys.argv[1]) / "parquet", Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    read = {p.name: pl.scan_parquet(p / "*.parquet") for p in landing.iterdir()}
    tables = {f"dim_{n}": read[f"{n}s"].collect() for n in ("product", "campaign", "channel")}
    tables["dim_customer"] = dim_customer(read["customers"])
    tables["fct_order_lines"] = fct_order_lines(
        read["order_lines"], read["orders"], read["products"], tables["dim_customer"]
    )
    tables["fct_orders"] = fct_orders(tables["fct_order_lines"])
    tables["fct_web_sessions"] = fct_web_sessions(read["web_events"])
    tables["fct_campaign_messages"] = fct_campaign_messages(read["campaign_messages"], read["campaign_reactions"])
    tables["customer_rfm_monthly"] = customer_rfm_monthly(tables["fct_orders"])
    tables["customer_value"] = customer_value(tables["fct_orders"])
    for name, table in tables.items():
        table.write_parquet(out / f"{name}.parquet")


if __name__ == "__main__":
    main()
