"""The published orders on their way to today's, one cause at a time.

The steps are those of ``CAUSES``, in that order; between two steps only what the cause changes is replaced, order by order. An order's
amounts are taken from its lines at each step: today's content at the published exchange rate, then at today's; with the
published returns, then with today's. Identities change in two steps: customers are parted as far as either release parts them, then
joined as today. Only orders that differ, and the other orders of their customers, are looked at.
"""

from typing import TYPE_CHECKING

from orchestration.restatements.compare import PUBLISHED, PUBLISHED_PERSONS, Built

if TYPE_CHECKING:
    import duckdb

#: In the order in which they are put in force; step 0 is what was published.
CAUSES = (
    "rule_change", "erasure", "other", "late_order", "fx_correction", "cancellation", "return", "identity_split", "identity_merge",
)  # fmt: skip
STEP = {cause: step for step, cause in enumerate(CAUSES, start=1)}
#: What is looked at in orders and in their lines.
ORDER = (
    "order_id", "customer_id", "channel_id", "order_date", "ordered_at", "is_test", "is_cancelled", "cancelled_date", "is_kept",
    "net_amount", "returned_amount", "margin_amount", "fx_rate",
)  # fmt: skip
LINE = (
    "order_line_id", "order_id", "quantity", "returned_quantity", "gross_amount", "discount_amount", "returned_amount", "cost_amount",
)  # fmt: skip


def walk(con: "duckdb.DuckDBPyConnection", built: Built, *, has_persons: bool) -> None:
    """Tables ``moving_step`` (steps at which any order changes, and 0) and ``order_step`` (the kept orders at each of them).

    Reads the attached release, the mart as built, table ``changed_deliveries`` and DuckDB's variable ``rules_changed``.
    """
    _changed_orders(con, built)
    _published_identities(con, has_persons)
    _customers_by_step(con, built)
    _amounts_by_version(con, built)
    _orders_by_step(con, built)


def _changed_orders(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``changed_order``: orders of which the indicators would see another thing. Only months whose content differs are joined."""
    seen = ", ".join(ORDER)
    for name, mart in (("o", f"{PUBLISHED}.mart"), ("n", built.mart)):
        con.execute(
            f"""
            create or replace temp table month_{name} as
            select date_trunc('month', order_date) as month, sum(hash({seen})) as content, count(*) as orders
            from {mart}.fct_orders group by 1
            """
        )
    con.execute(
        """
        create or replace temp table changed_month as
        select month from (from month_o except from month_n union all (from month_n except from month_o)) group by month
        """
    )
    for name, mart in (("o", f"{PUBLISHED}.mart"), ("n", built.mart)):
        con.execute(
            f"""
            create or replace temp table {name} as select {seen} from {mart}.fct_orders
            where date_trunc('month', order_date) in (select month from changed_month)
            """
        )
    differs = " or ".join(f"o.{c} is distinct from n.{c}" for c in ORDER[1:])
    con.execute(
        f"""
        create or replace temp table changed_order as
        select order_id, o.order_id is null as is_late, n.order_id is null as is_gone
        from o full join n using (order_id)
        where o.order_id is null or n.order_id is null or {differs}
        """
    )
    for name in ("o", "n"):
        con.execute(f"create or replace temp table {name} as from {name} semi join changed_order using (order_id)")


def _published_identities(con: "duckdb.DuckDBPyConnection", has_persons: bool) -> None:
    """``published_identity``: the customer of each account and guest order as it was published."""
    source = (
        f"{PUBLISHED_PERSONS}.restricted.customer_identity where until_revision is null and valid_to = date '9999-12-31' "
        "and record_kind in ('account', 'guest_order')"
        if has_persons
        else "(select null::varchar as record_kind, null::varchar as source_id, null::varchar as customer_id) where false"
    )
    con.execute(
        f"create or replace temp table published_identity as select record_kind, source_id, customer_id from {source}"
    )


def _customers_by_step(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``ordering``: each changed order with its customer as published, with today's account, parted, and today; who moves it, and when.

    An order that names another account now was corrected; an account that is of another customer now is an identity's doing. A customer of
    whose records none is left is erased.
    """
    con.execute(
        f"""
        create or replace temp table ordering as
        with
        records as (
            select 'account' as record_kind, source_customer_id as source_id from {built.intermediate}.int_customer_identity
            union all select record_kind, source_id from {built.intermediate}.int_record_identity
        ),
        erased as (
            select p.customer_id
            from published_identity as p left join records as r using (record_kind, source_id)
            group by p.customer_id having count(r.source_id) = 0
        ),
        touched as (
            select order_id from {built.staging}.stg_shop__orders
            where delivery_date in (select delivery_date from changed_deliveries where table_name = 'orders')
            union
            select order_id from {built.staging}.stg_shop__order_lines
            where delivery_date in (select delivery_date from changed_deliveries where table_name = 'order_lines')
            union
            select l.order_id from {built.staging}.stg_shop__returns as r
            join {built.staging}.stg_shop__order_lines as l using (order_line_id)
            where r.delivery_date in (select delivery_date from changed_deliveries where table_name = 'returns')
        ),
        delivered as (select list(distinct table_name) as tables from changed_deliveries),
        known as (
            select c.*, o.customer_id as c0, n.customer_id as c3, s.customer_id as account, p.customer_id as published_customer,
                case
                    -- what the deliveries of the order, of its rates or of its products may have changed is no rule's doing
                    when not getvariable('rules_changed') then false
                    when c.is_gone then not list_has_any(coalesce(d.tables, []), ['orders', 'order_lines'])
                    when o.fx_rate <> n.fx_rate then not list_contains(coalesce(d.tables, []), 'exchange_rates')
                    when o.net_amount = n.net_amount and o.margin_amount is distinct from n.margin_amount
                        and list_contains(coalesce(d.tables, []), 'products') then false
                    else t.order_id is null
                end as by_rule,
                o.customer_id in (select customer_id from erased) as is_erased
            from changed_order as c
            left join o using (order_id)
            left join n using (order_id)
            left join {built.staging}.stg_shop__orders as s using (order_id)
            left join published_identity as p on p.record_kind = if(s.customer_id is null, 'guest_order', 'account')
                and p.source_id = coalesce(s.customer_id, s.order_id)
            left join touched as t on t.order_id = c.order_id
            cross join delivered as d
        ),
        named as (
            select *, case
                when is_gone then c0
                when is_late then coalesce(published_customer, c3)
                when published_customer is not null then published_customer
                when not exists (from published_identity) or (account is null and c0 is null) then c0
                else c3
            end as c1
            from known
        )
        select order_id, is_late, is_gone, by_rule, coalesce(is_erased, false) as is_erased, c0,
            if(is_erased and c3 is null, null, c1) as c1,
            case when c1 is null or c3 is null then null when c1 = c3 then c3 else c1 || '|' || c3 end as c2, c3
        from named
        """
    )


def _amounts_by_version(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``version``: net, margin, amount before returns and goods of each changed order as published (0) and today (4), and of those
    in both, between the two: today's content at the published rate (1) and at today's
    (2), with the published returns; cancellation follows in the steps.
    """
    line = ", ".join(LINE)
    con.execute(
        f"""
        create or replace temp table version as
        with
        old_lines as (select {line} from {PUBLISHED}.mart.fct_order_lines semi join changed_order using (order_id)),
        new_lines as (
            select {line}, unit_cost from {built.mart}.fct_order_lines semi join changed_order using (order_id)
            left join (select product_key, unit_cost from {built.mart}.dim_product) using (product_key)
        ),
        rates as (select order_id, o.fx_rate as old_rate, n.fx_rate as new_rate from o join n using (order_id)),
        -- amounts that are the published ones at another rate are taken as those, rounding apart
        both_lines as (
            select n.order_id, n.quantity, coalesce(o.returned_quantity, 0) as returned_quantity,
                n.gross_amount - n.discount_amount as new_sold,
                cast(round(new_sold * (old_rate / new_rate), 2) as decimal(18, 2)) as sold_at_old_rate,
                case
                    when old_rate = new_rate then new_sold
                    when abs(o.gross_amount - o.discount_amount - sold_at_old_rate) <= 0.02 then o.gross_amount - o.discount_amount
                    else sold_at_old_rate
                end as old_sold,
                coalesce(o.returned_amount, 0) as old_returned,
                cast(round(old_returned * (new_rate / old_rate), 2) as decimal(18, 2)) as returned_at_new_rate,
                case
                    when old_rate = new_rate then old_returned
                    when abs(n.returned_amount - returned_at_new_rate) <= 0.02 then n.returned_amount
                    else returned_at_new_rate
                end as new_returned,
                case
                    when coalesce(o.returned_quantity, 0) = n.returned_quantity then n.cost_amount
                    else round((n.quantity - coalesce(o.returned_quantity, 0)) * cast(unit_cost as decimal(38, 4)), 2)
                end as cost_amount
            from new_lines as n
            join rates using (order_id)
            left join old_lines as o on n.order_line_id = o.order_line_id and n.order_id = o.order_id
        ),
        lines as (
            select order_id, 1 as version, quantity, returned_quantity, old_sold as sold, old_returned as back, cost_amount
            from both_lines
            union all
            select order_id, 2, quantity, returned_quantity, new_sold, new_returned, cost_amount from both_lines
        ),
        amounts as (
            select order_id, version, sum(sold) as sold, sum(sold - back) as net, sum(sold - back - cost_amount) as margin,
                max(if(returned_quantity < quantity, 1, 0)) = 1 or max(returned_quantity) = 0 as has_goods
            from lines group by order_id, version
        )
        select order_id, version, cast(coalesce(net, 0) as decimal(18, 2)) as net, cast(margin as decimal(18, 2)) as margin,
            cast(coalesce(sold, 0) as decimal(18, 2)) as sold, coalesce(has_goods, false) as has_goods
        from rates cross join (select unnest([1, 2]) as version) left join amounts using (order_id, version)
        union all
        select order_id, 0, net_amount, margin_amount, net_amount + returned_amount, null from o
        union all
        select order_id, 4, net_amount, margin_amount, net_amount + returned_amount, null from n
        """
    )


def _orders_by_step(con: "duckdb.DuckDBPyConnection", built: Built) -> None:
    """``order_step``: the kept orders at each step at which any order differs from the step before; changed orders, and the others
    of every customer that has a changed order at any step.
    """
    s = STEP
    con.execute(
        f"""
        create or replace temp table stepped as
        select g.*, step,
            case
                when is_gone then
                    case when step >= case when by_rule then {s["rule_change"]} when is_erased then {s["erasure"]} else {s["other"]} end
                        then null else 0 end
                when is_late then if(step >= if(by_rule, {s["rule_change"]}, {s["late_order"]}), 4, null)
                when step = 0 then 0
                when by_rule or step >= {s["return"]} then 4
                when step >= {s["fx_correction"]} then 2
                when step >= {s["other"]} then 1
                else 0
            end as version,
            case
                when is_gone then c0
                when is_late and step < {s["identity_split"]} then c1
                when step >= {s["identity_merge"]} then c3
                when step >= {s["identity_split"]} then c2
                when step >= {s["other"]} or (step >= {s["erasure"]} and is_erased) then c1
                else c0
            end as customer_id
        from ordering as g cross join (select unnest(range({len(CAUSES) + 1})) as step)
        """
    )
    con.execute(
        f"""
        create or replace temp table changed_step as
        select t.order_id, t.step, t.customer_id,
            if(t.version = 0, o.channel_id, n.channel_id) as channel_id,
            if(t.version = 0, o.order_date, n.order_date) as order_date,
            if(t.version = 0, o.ordered_at, n.ordered_at) as ordered_at,
            v.net, v.margin
        from stepped as t
        join version as v on t.order_id = v.order_id and t.version = v.version
        left join o on t.order_id = o.order_id
        left join n on t.order_id = n.order_id
        where case t.version
            when 0 then o.is_kept
            when 4 then n.is_kept
            else v.has_goods and not n.is_test and not if(step >= {s["cancellation"]}, n.is_cancelled, o.is_cancelled)
        end
        """
    )
    con.execute(
        f"""
        create or replace temp table moving_step as
        select 0 as step
        union
        select step from (
            (select a.* replace (step + 1 as step) from changed_step as a where step < {len(CAUSES)} except from changed_step)
            union all
            (from changed_step where step > 0 except select a.* replace (step + 1 as step) from changed_step as a)
        )
        """
    )
    con.execute(
        f"""
        create or replace temp table order_step as
        with
        old_customers as (select distinct customer_id from changed_step where customer_id is not null and step < {s["identity_split"]}),
        new_customers as (select distinct customer_id from changed_step where customer_id is not null and step = {s["identity_merge"]}),
        others as (
            select order_id, customer_id, channel_id, order_date, ordered_at, net_amount as net, margin_amount as margin
            from {built.mart}.fct_orders anti join changed_order using (order_id)
            where is_kept and (customer_id in (from old_customers) or customer_id in (from new_customers))
        )
        from changed_step semi join moving_step using (step)
        union all by name
        select step, others.* from others cross join moving_step
        """
    )
