"""How much each cause brought to a change of figures.

The published orders become today's in steps, one cause at a time (``steps.walk``). What a figure moves by from step to step is the cause's
effect, so that the effects of a change add up to it exactly, ratios and counts of customers included. Everything is a set
operation: the result does not depend on the order of rows.
"""

from typing import TYPE_CHECKING

from orchestration.restatements.compare import BASE, FIGURE, PUBLISHED, RATIOS, SNAPSHOTS, TABLES, Built
from orchestration.restatements.snapshots import snapshot_steps
from orchestration.restatements.steps import CAUSES, STEP, walk

if TYPE_CHECKING:
    import duckdb

#: Figures that orders make; `next_period_active_customers` and `known_customers` follow from customers' periods.
_SUMS = ("orders", "identified_orders", "net_amount", "identified_net_amount", "margin_amount")
_COUNTS = (
    "active_customers",
    "new_customers",
    "returning_customers",
    "reactivated_customers",
    "next_period_active_customers",
)


def find_causes(
    con: "duckdb.DuckDBPyConnection", built: Built, *, rules_changed: bool, has_persons: bool, rfm_window_months: int
) -> None:
    """Table ``effects``: the key of each row of ``changed``, cause and effect (none of them 0); they sum to the change.

    Reads the attached release, the mart as built, and tables ``changed`` and ``changed_deliveries`` (table_name, delivery_date: what was
    loaded since the release). ``rules_changed``: the release was made by other code, contracts or settings, so that
    what no delivery explains is a rule_change; without that it is ``other``.
    ``rfm_window_months``: calendar months that RFM's frequency and monetary look back on, 0 = all.
    """
    con.execute("set variable rules_changed = ?", [rules_changed])
    walk(con, built, has_persons=has_persons)
    _base_effects(con)
    _visits(con, built)
    _figures_by_step(con)
    snapshot_steps(con, built, rfm_window_months)
    _effects(con)


def _base_effects(con: "duckdb.DuckDBPyConnection") -> None:
    """``base_effect``: what each step brings to the base figures, by table, period and channel (null: all channels)."""
    periods = " union all ".join(
        f"select '{table}' as table_name, {months} as months" for table, months in TABLES.items()
    )
    start = (
        "cast(date_trunc('month', order_date) - to_months(cast((month(order_date) - 1) % months as integer)) as date)"
    )
    con.execute(
        f"""
        create or replace temp table step_figure as
        with
        cuts as (
            select *, false as by_channel from order_step
            union all
            select *, true from order_step
        ),
        placed as (
            select * exclude (by_channel), if(by_channel, channel_id, null) as cut,
                if(customer_id is null, null, row_number() over history) as order_number,
                if(customer_id is null, null, lag(order_date) over history) as previous_date
            from cuts
            where not by_channel or channel_id is not null
            window history as (partition by step, customer_id, if(by_channel, channel_id, null), by_channel order by ordered_at, order_id)
        ),
        dated as (select *, {start} as period_start from placed cross join ({periods})),
        sums as (
            select table_name, period_start, cut, step, count(*) as orders, count(customer_id) as identified_orders,
                sum(net) as net_amount, coalesce(sum(net) filter (where customer_id is not null), 0) as identified_net_amount,
                coalesce(sum(margin), 0) as margin_amount
            from dated group by all
        ),
        customers as (
            select table_name, months, period_start, cut, step, customer_id, min(order_number) = 1 as is_new,
                max(order_number) > 1 as is_returning,
                coalesce(bool_or(order_date > previous_date + interval 12 month), false) as is_reactivated
            from dated where customer_id is not null group by all
        ),
        followed as (
            select *, coalesce(
                    lead(period_start) over (partition by table_name, step, cut, customer_id order by period_start)
                    = period_start + to_months(months), false
                ) as is_followed
            from customers
        ),
        counts as (
            select table_name, period_start, cut, step, count(*) as active_customers, count(*) filter (where is_new) as new_customers,
                count(*) filter (where is_returning) as returning_customers,
                count(*) filter (where is_reactivated) as reactivated_customers,
                count(*) filter (where is_followed) as next_period_active_customers
            from followed group by all
        )
        select s.*, {", ".join(f"coalesce({c}, 0) as {c}" for c in _COUNTS)}
        from sums as s left join counts as c
            on s.table_name = c.table_name and s.period_start = c.period_start and s.step = c.step and s.cut is not distinct from c.cut
        """
    )
    figures = ", ".join(f"cast({c} as {FIGURE}) as {c}" for c in (*_SUMS, *_COUNTS))
    con.execute(
        f"""
        create or replace temp table base_effect as
        with
        grid as (
            select * from (select distinct table_name, period_start, cut from step_figure)
            cross join (select step, lag(step) over (order by step) as before from moving_step)
            where before is not null
        ),
        long as (
            from (select table_name, period_start, cut, step, {figures} from step_figure)
            unpivot (value for metric in ({", ".join((*_SUMS, *_COUNTS))}))
        ),
        metrics as (select unnest([{", ".join(f"'{m}'" for m in (*_SUMS, *_COUNTS))}]) as metric)
        select g.table_name, g.period_start, g.cut, g.step, m.metric,
            coalesce(a.value, 0) - coalesce(b.value, 0) as effect
        from grid as g
        cross join metrics as m
        left join long as a on a.table_name = g.table_name and a.period_start = g.period_start and a.cut is not distinct from g.cut
            and a.step = g.step and a.metric = m.metric
        left join long as b on b.table_name = g.table_name and b.period_start = g.period_start and b.cut is not distinct from g.cut
            and b.step = g.before and b.metric = m.metric
        where coalesce(a.value, 0) <> coalesce(b.value, 0)
        """
    )


def _visits(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """Sessions: no order's doing. Of other rules where these changed and no event was delivered since, else of late events: ``other``."""
    con.execute(
        f"""
        insert into base_effect
        select table_name, period_start, channel_id, if(
                getvariable('rules_changed') and not exists (from changed_deliveries where table_name = 'web_events'),
                {STEP["rule_change"]}, {STEP["other"]}
            ), metric, coalesce(new_value, 0) - coalesce(old_value, 0)
        from changed where metric in ('sessions', 'converting_sessions')
        """
    )


def _figures_by_step(con: "duckdb.DuckDBPyConnection") -> None:
    """``figure_step``: the changed indicators at every step; ratios are computed at each."""
    con.execute(
        f"""
        create or replace temp table figure_step as
        with
        keys as (
            select distinct table_name, period_start, channel_id from changed where table_name <> '{SNAPSHOTS}'
        ),
        published as (
            {" union all ".join(_published(table) for table in TABLES)}
        ),
        added as (
            select k.table_name, k.period_start, k.channel_id, e.step, if(m.known, 'known_customers', e.metric) as metric,
                sum(e.effect) as effect
            from keys as k
            join base_effect as e on k.table_name = e.table_name and k.channel_id is not distinct from e.cut
            join (select unnest([false, true]) as known) as m
                on if(m.known, e.metric = 'new_customers' and e.period_start <= k.period_start, e.period_start = k.period_start)
            group by all
        ),
        wide as (pivot added on metric in ({", ".join(f"'{m}'" for m in BASE)}) using sum(effect)),
        steps as (select unnest(range({len(CAUSES) + 1})) as step),
        walked as (
            select k.table_name, k.period_start, k.channel_id, s.step,
                {", ".join(f"coalesce(p.{m}, 0) + coalesce(sum(w.{m}) over walk, 0) as {m}" for m in BASE)}
            from keys as k
            cross join steps as s
            left join published as p on k.table_name = p.table_name and k.period_start = p.period_start
                and k.channel_id is not distinct from p.channel_id
            left join wide as w on k.table_name = w.table_name and k.period_start = w.period_start
                and k.channel_id is not distinct from w.channel_id and s.step = w.step
            window walk as (partition by k.table_name, k.period_start, k.channel_id order by s.step)
        )
        from (
            select table_name, period_start, channel_id, step, {", ".join(f"cast({m} as {FIGURE}) as {m}" for m in BASE)},
                {", ".join(f"cast(coalesce({sql}, 0) as {FIGURE}) as {m}" for m, sql in RATIOS.items())}
            from walked
        ) unpivot (value for metric in ({", ".join((*BASE, *RATIOS))}))
        """
    )


def _effects(con: "duckdb.DuckDBPyConnection") -> None:
    """``effects``: what a figure moves by at each step.

    What the steps do not explain (figures that were defined otherwise) is of the rules, or ``other`` where none changed.
    """
    rest = f"if(getvariable('rules_changed'), {STEP['rule_change']}, {STEP['other']})"
    con.execute(
        f"""
        create or replace temp table effects as
        with
        moved as (
            select *, value - lag(value) over (partition by table_name, period_start, channel_id, metric order by step) as effect
            from figure_step
        ),
        told as (
            select c.*, m.step, m.effect
            from changed as c join moved as m
                on c.table_name = m.table_name and c.period_start = m.period_start and c.metric = m.metric
                and c.channel_id is not distinct from m.channel_id
            where m.step > 0
        ),
        untold as (
            select table_name, period_start, channel_id, metric, old_value, new_value, {rest} as step,
                any_value(coalesce(new_value, 0) - coalesce(old_value, 0)) - sum(effect) as effect
            from told group by table_name, period_start, channel_id, metric, old_value, new_value
        )
        select table_name, period_start, channel_id, metric, old_value, new_value,
            list_extract({list(CAUSES)}, step) as cause, cast(sum(effect) as {FIGURE}) as effect
        from (from told union all by name from untold)
        group by all having sum(effect) <> 0
        """
    )


def _published(table: str) -> str:
    figures = ", ".join(f"cast({m} as {FIGURE}) as {m}" for m in BASE)
    return f"select '{table}' as table_name, period_start, channel_id, {figures} from {PUBLISHED}.mart.{table}"
