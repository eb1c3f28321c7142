"""Rows of campaigns, costs, messages and reactions, and of the web events."""

from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.sample.campaigns import ANNOUNCED, HELD_BACK, MEDIA
from orchestration.sample.catalogue import CATEGORIES
from orchestration.sample.draws import Ints
from orchestration.sample.layout import LAYOUTS
from orchestration.sample.reactions import AGENTS, KINDS
from orchestration.sample.render_people import account_ids
from orchestration.sample.render_sales import order_ids, skus
from orchestration.sample.text import (
    Column,
    dates,
    decimals,
    identifiers,
    join,
    or_empty,
    quoted,
    separated,
    timestamps,
    where,
    words,
)
from orchestration.sample.web import (
    BROWSERS,
    DEVICES,
    EVENT_TYPES,
    ORIGINS,
    PAGE_VIEW,
    PRODUCT_VIEW,
    PURCHASE,
    Events,
)
from orchestration.sample.world import World


def campaign_files(world: World) -> dict[int, list[str]]:
    """The whole list of known campaigns, on the first day and whenever one is announced or renamed."""
    plan, clock = world.plan, world.clock
    announced = np.maximum(plan.begin - ANNOUNCED, 0)
    days = {0, *announced.tolist(), *plan.renamed_on[plan.renamed_on < clock.days].tolist()}
    files = {}
    for day in sorted(days):
        files[day] = [
            ",".join(
                (
                    plan.code(k),
                    quoted(plan.name(k, bool(plan.renamed_on[k] <= day)), ","),
                    MEDIA[plan.medium[k]],
                    plan.objective_name(k),
                    _iso(world, int(plan.begin[k])),
                    _iso(world, int(plan.end[k])),
                    "true" if plan.has_control[k] else "false",
                    str(HELD_BACK) if plan.has_control[k] else "",
                    "true",
                    "",
                )
            )
            for k in range(len(plan))
            if announced[k] <= day
        ]
    return files


def _iso(world: World, day: int) -> str:
    return str(dates(np.asarray([world.clock.first_epoch_day + day], dtype=np.int64))[0].as_py())


def render_costs(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the costs."""
    costs = world.costs
    columns = [
        words([world.plan.code(k) for k in range(len(world.plan))], costs.campaign[lo:hi]),
        dates(world.clock.first_epoch_day + costs.cost_day[lo:hi]),
        decimals(costs.amount[lo:hi], 2),
        words(["EUR"], costs.campaign[lo:hi] * 0),
    ]
    return separated(columns, LAYOUTS["campaign_costs"].delimiter)


def message_ids(rows: Ints) -> Column:
    """Message numbers."""
    return identifiers("M", rows, 9)


def message_table(world: World, lo: int, hi: int) -> Any:
    """Rows lo to hi of the messages as an Arrow table."""
    messages = world.messages
    columns = [
        message_ids(np.arange(lo, hi)),
        words([world.plan.code(k) for k in range(len(world.plan))], messages.campaign[lo:hi]),
        account_ids(world.accounts, messages.account[lo:hi]),
        pa.array(messages.at[lo:hi] * 1_000_000).cast(pa.timestamp("us")),
        pa.array(messages.control[lo:hi]),
        pa.nulls(hi - lo, pa.string()),
    ]
    return pa.table(columns, names=list(LAYOUTS["campaign_messages"].header))


def render_reactions(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the reactions."""
    reactions = world.reactions
    columns = [
        identifiers("R", np.arange(lo, hi), 9),
        message_ids(reactions.message[lo:hi]),
        words(KINDS, reactions.kind[lo:hi]),
        timestamps(reactions.at[lo:hi]),
        order_ids(reactions.order[lo:hi]),
        words([quoted(a, ",") if a else None for a in AGENTS], reactions.agent[lo:hi]),
    ]
    return separated(columns, LAYOUTS["campaign_reactions"].delimiter)


def visitor_ids(visitors: Ints) -> Column:
    """First-party identifiers; a multiplication scatters them, as real ones are."""
    return identifiers("v", (visitors + 1) * 2_654_435_761 % (1 << 32), 11)


def _text(column: Column) -> Column:
    """A JSON string, or null."""
    return or_empty(join('"', column, '"'), "null")


def render_events(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the events as JSON objects."""
    events: Events = world.events
    visits, visit, kind = events.visits, events.visit[lo:hi], events.kind[lo:hi].astype(np.int64)
    visitor = visits.visitor[visit]
    device = np.where(visitor % 2 == 0, np.where(visitor % 5 == 0, 0, 1), np.where(visitor % 7 == 0, 2, 0))
    account = np.where(events.signed_in[lo:hi], visits.account[visit], -1)
    product, number = events.product[lo:hi].astype(np.int64), events.number[lo:hi].astype(np.int64)
    category = words([f"/category/{c[0].lower()}" for c in CATEGORIES], number % len(CATEGORIES))
    landing = where(number % 3 == 0, category, words(["/"], number * 0))
    page = where(kind == PAGE_VIEW, landing, words(["", "", "/basket", "/checkout", "/thank-you"], kind))
    page = where(kind == PRODUCT_VIEW, join("/product/", skus(product)), page)
    origin = visits.origin[visit]
    codes = [world.plan.code(k) for k in range(len(world.plan))]
    campaign = words(codes, visits.campaign[visit])
    source = words([o[1] for o in ORIGINS], origin)
    utm = join(
        '{"source":', _text(source), ',"medium":', _text(words([o[2] for o in ORIGINS], origin)),
        ',"campaign":', _text(campaign), "}",
    )  # fmt: skip
    tagged = np.asarray([o[1] is not None for o in ORIGINS])[origin]
    user = or_empty(join('{"account":"', account_ids(world.accounts, account), '"}'), "null")
    order = order_ids(np.where(kind == PURCHASE, visits.order[visit], -1))
    return join(
        '{"id":"', identifiers("E", number, 10),
        '","ts":"', _instants(events.at[lo:hi]),
        '","visitor":"', visitor_ids(visitor),
        '","type":"', words(EVENT_TYPES, kind),
        '","page":"', page,
        '","referrer":', _text(words([o[0] for o in ORIGINS], origin)),
        ',"sku":', _text(skus(product)),
        ',"order_no":', _text(order),
        ',"user":', user,
        ',"utm":', or_empty(where(tagged, utm), "null"),
        ',"device":"', words(DEVICES, device),
        '","agent":"', words(BROWSERS, device),
        '"}\n',
    )  # fmt: skip


def _instants(milliseconds: Ints) -> Column:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    moment = milliseconds // 1000
    day = dates(moment // 86_400)
    second = moment % 86_400
    clock = [f"{k:02d}" for k in range(60)]
    return join(
        day, "T", words(clock, second // 3600), ":", words(clock, second // 60 % 60), ":",
        words(clock, second % 60), ".", words([f"{k:03d}Z" for k in range(1000)], milliseconds % 1000),
    )  # fmt: skip
