"""Totals of the RFM snapshots of past month ends, from the published orders to today's, one cause at a time.

A snapshot knows what had happened by its month end: an order until it was undone, a return since its own day. So the steps need of
each order since when it was undone and what came back when, as published, as today, and in between. What a snapshot sums over
its customers is looked at, not each customer's score: scores follow from the whole population.
"""

from typing import TYPE_CHECKING

from orchestration.restatements.compare import FIGURE, PUBLISHED, SNAPSHOTS, TOTALS, Built
from orchestration.restatements.compare import totals as totals_of
from orchestration.restatements.steps import CAUSES, STEP

if TYPE_CHECKING:
    import duckdb

#: What is looked at in returns.
RETURN = ("return_id", "order_line_id", "order_id", "return_date", "returned_quantity", "returned_amount")


def snapshot_steps(con: "duckdb.DuckDBPyConnection", built: Built, window_months: int) -> None:
    """Adds to ``figure_step`` the value of each total of each changed snapshot at every step.

    ``window_months``: the calendar months that frequency and monetary look back on, 0 = all. Reads what ``steps.walk`` left.
    """
    if con.execute(f"select count(*) from changed where table_name = '{SNAPSHOTS}'").fetchall() == [(0,)]:
        return
    _returns_by_version(con, built)
    _undone_by_version(con, built)
    _timelines(con, built)
    _totals_by_step(con, window_months)


def _returns_by_version(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``version_return``: returns of changed orders as published (0), today (4), and the published ones at both rates (1, 2).

    An amount that is today's, rounding apart, is taken as that: rates and returns do not share a cent.
    """
    known = ", ".join(RETURN)
    con.execute(
        f"""
        create or replace temp table version_return as
        with
        old as (select {known} from {PUBLISHED}.mart.fct_returns semi join changed_order using (order_id)),
        new as (select {known} from {built.mart}.fct_returns semi join changed_order using (order_id)),
        both_rates as (
            select old.*, o.fx_rate as old_rate, n.fx_rate as new_rate, new.returned_amount as today,
                cast(round(old.returned_amount * (n.fx_rate / o.fx_rate), 2) as decimal(18, 2)) as converted
            from old
            join o on old.order_id = o.order_id
            join n on old.order_id = n.order_id
            left join new on old.return_id = new.return_id
        )
        select 0 as version, old.* from old
        union all
        select 4, new.* from new
        union all
        select 1, {known} from both_rates
        union all
        select 2, {
            known.replace(
                "returned_amount",
                "case when old_rate = new_rate then returned_amount "
                "when abs(today - converted) <= 0.02 then today else converted end",
            )
        } from both_rates
        """
    )


def _undone_by_version(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``fully_returned``: the day on which the last outstanding unit of a changed order came back, by version.

    As model int_undone_orders has it.
    """
    con.execute(
        f"""
        create or replace temp table fully_returned as
        with
        lines as (
            select 0 as version, order_id, order_line_id, quantity from {PUBLISHED}.mart.fct_order_lines
            semi join changed_order using (order_id)
            union all
            select v.version, l.order_id, l.order_line_id, l.quantity
            from {built.mart}.fct_order_lines as l semi join changed_order using (order_id)
            cross join (select unnest([1, 2, 4]) as version) as v
        ),
        so_far as (
            select l.version, l.order_line_id, l.quantity, r.return_date, sum(r.returned_quantity) over (
                    partition by l.version, l.order_line_id order by r.return_date, r.return_id
                    rows between unbounded preceding and current row
                ) as returned_quantity
            from lines as l join version_return as r on l.version = r.version and l.order_line_id = r.order_line_id
        ),
        back as (
            select version, order_line_id, min(return_date) as day
            from so_far where returned_quantity >= quantity and quantity > 0
            group by version, order_line_id
        )
        select l.version, l.order_id,
            case when count(b.day) = count(*) filter (where l.quantity > 0) then max(b.day) end as day
        from lines as l left join back as b on l.version = b.version and l.order_line_id = b.order_line_id
        group by l.version, l.order_id
        """
    )


def _timelines(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``timeline``: each order at each step with its customer, its month, the month it was undone in, and its amount before returns;
    changed orders, and today's others of every customer that has a changed order at any step.
    """
    s = STEP
    con.execute(
        f"""
        create or replace temp table timeline as
        with
        -- as published (0), as today (4), or today's content with the published returns
        amounts as (
            select order_id, 0 as version, net_amount + returned_amount as sold from o
            union all select order_id, 4, net_amount + returned_amount from n
            union all select order_id, version, sold from version where version in (1, 2)
        ),
        changed_orders as (
            select t.step, t.order_id, t.version, t.customer_id, a.sold,
                if(t.version = 0, o.order_date, n.order_date) as order_date,
                if(t.version = 0, o.is_test, n.is_test) as is_test,
                if(t.version = 4 or step >= {s["cancellation"]}, n.cancelled_date, o.cancelled_date) as cancelled_date,
                case t.version when 0 then o.is_kept when 4 then n.is_kept
                    else v.has_goods and not n.is_test and not if(step >= {s["cancellation"]}, n.is_cancelled, o.is_cancelled)
                end as is_kept,
                f.order_id is not null as has_lines, f.day as fully_returned_date
            from stepped as t
            join amounts as a on t.order_id = a.order_id and t.version = a.version
            left join version as v on t.order_id = v.order_id and t.version = v.version
            left join o on t.order_id = o.order_id
            left join n on t.order_id = n.order_id
            left join fully_returned as f on t.order_id = f.order_id and t.version = f.version
            where t.customer_id is not null
        ),
        of_changed as (
            select step, order_id, version, customer_id, sold, order_date,
                case when not is_kept then least(cancelled_date, fully_returned_date) end as undone_date
            from changed_orders
            where is_kept or (not is_test and has_lines and coalesce(cancelled_date, fully_returned_date) is not null)
        ),
        customers as (select distinct customer_id from stepped where customer_id is not null),
        of_others as (
            select f.order_id, f.customer_id, f.net_amount + f.returned_amount as sold, f.order_date, u.undone_date
            from {built.mart}.fct_orders as f
            semi join customers on f.customer_id = customers.customer_id
            anti join changed_order as c on f.order_id = c.order_id
            left join {built.intermediate}.int_undone_orders as u on f.order_id = u.order_id
            where f.is_kept or u.undone_date is not null
        )
        select step, order_id, version, customer_id, sold, order_date,
            cast(date_trunc('month', order_date) as date) as order_month,
            cast(date_trunc('month', coalesce(undone_date, date '9999-01-01')) as date) as undone_month
        from (
            from of_changed
            union all by name
            select unnest(range({len(CAUSES) + 1})) as step, null as version, * from of_others
        )
        where order_month < undone_month
        """
    )
    # returns of orders that did not change are in every step the same
    con.execute(
        f"""
        insert into version_return
        select null, {", ".join(f"r.{c}" for c in RETURN)}
        from {built.mart}.fct_returns as r semi join (from timeline where version is null) as t on r.order_id = t.order_id
        """
    )


def _totals_by_step(con: "duckdb.DuckDBPyConnection", window_months: int) -> None:
    """What each step brings to each total, on top of the published value."""
    in_window = f"c.month < c.order_month + to_months({window_months})" if window_months > 0 else "true"
    figures = ", ".join(f"cast({c} as {FIGURE}) as {c}" for c in TOTALS)
    con.execute(
        f"""
        insert into figure_step by name
        with
        months as (
            select distinct period_start as month, last_day(period_start) as snapshot_date
            from changed where table_name = '{SNAPSHOTS}'
        ),
        counted as (
            select t.*, m.month, m.snapshot_date
            from timeline as t join months as m on t.order_month <= m.month and m.month < t.undone_month
        ),
        back as (
            select c.step, c.order_id, c.month, sum(r.returned_amount) as returned
            from counted as c
            join version_return as r on c.order_id = r.order_id and c.version is not distinct from r.version
            where r.return_date <= c.snapshot_date
            group by c.step, c.order_id, c.month
        ),
        customers as (
            select c.step, c.month, c.customer_id, date_diff('day', max(c.order_date), any_value(c.snapshot_date)) as recency_days,
                count(*) filter (where {in_window}) as frequency,
                coalesce(sum(c.sold - coalesce(b.returned, 0)) filter (where {in_window}), 0) as monetary
            from counted as c left join back as b on c.step = b.step and c.order_id = b.order_id and c.month = b.month
            group by c.step, c.month, c.customer_id
        ),
        totals as (
            select s.step, m.month, count(c.customer_id) as customers, {
            ", ".join(f"coalesce(sum(c.{t}), 0) as {t}" for t in TOTALS if t != "customers")
        }
            from months as m cross join (select unnest(range({len(CAUSES) + 1})) as step) as s
            left join customers as c on c.step = s.step and c.month = m.month
            group by s.step, m.month
        ),
        long as (
            from (select step, month, {figures} from totals) unpivot (value for metric in ({", ".join(TOTALS)}))
        ),
        published as (
            from (select period_start, {figures} from {totals_of(f"{PUBLISHED}.mart")})
            unpivot (value for metric in ({", ".join(TOTALS)}))
        )
        select '{SNAPSHOTS}' as table_name, l.month as period_start, null as channel_id, l.step, l.metric,
            coalesce(p.value, 0) + l.value
                - first_value(l.value) over (partition by l.month, l.metric order by l.step) as value
        from long as l left join published as p on l.month = p.period_start and l.metric = p.metric
        """
    )
