"""Rows of orders, lines, returns, products, channels and exchange rates."""

import numpy as np

from orchestration.sample.catalogue import (
    BRANDS,
    CATEGORIES,
    CHANNELS,
    CURRENCIES,
    RENAMED_CHANNEL,
    RENAMED_CHANNEL_NAME,
)
from orchestration.sample.draws import Ints
from orchestration.sample.layout import LAYOUTS
from orchestration.sample.orders import STATUSES, TEST
from orchestration.sample.render_people import account_ids, emails
from orchestration.sample.text import (
    Column,
    booleans,
    decimals,
    identifiers,
    quoted,
    separated,
    timestamps,
    where,
    words,
)
from orchestration.sample.world import World

TEST_MAIL = "shop-test@example.com"
_COUPONS = ("LANTERN10", "TEATIME", "WELCOME5")


def order_ids(rows: Ints) -> Column:
    """Order numbers; null for negative rows."""
    return identifiers("O", rows, 9)


def line_ids(rows: Ints) -> Column:
    """Order line numbers."""
    return identifiers("L", rows, 9)


def skus(products: Ints) -> Column:
    """Stock keeping units; null for negative numbers."""
    return identifiers("P", products, 5)


def render_orders(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the order feed: headers with the status of the delivery."""
    orders, feed = world.orders, world.order_feed
    row, status = feed.order[lo:hi], feed.status[lo:hi]
    person, test = orders.person[row], orders.kind[row] == TEST
    guest = orders.account[row] < 0
    mail = emails(world.persons, np.where(guest, person, -1), np.where(row % 9 == 4, 1, 0))
    cancelled = status == STATUSES.index("cancelled")
    columns = [
        order_ids(row),
        account_ids(world.accounts, orders.account[row]),
        where(test & guest, words([TEST_MAIL], row * 0), mail),
        words([c[0] for c in CHANNELS], orders.channel[row]),
        timestamps(orders.at[row]),
        words(CURRENCIES, orders.currency[row]),
        words(STATUSES, status),
        timestamps(np.where(cancelled, orders.cancelled_at[row], -1)),
        booleans(test),
        words([world.plan.code(k) for k in range(len(world.plan))], orders.campaign[row]),
        words(_COUPONS, np.where(row % 23 < 1, row % 3, -1)),
    ]
    return separated(columns, LAYOUTS["orders"].delimiter)


class LineFeed:
    """Deliveries of order lines: with their order, and again where the discount was corrected."""

    def __init__(self, world: World) -> None:
        lines = world.lines
        first = world.order_feed.delivered[lines.order]
        fixed = np.flatnonzero(lines.corrected_on < world.clock.days)
        line = np.concatenate([np.arange(len(lines)), fixed])
        day = np.concatenate([first, lines.corrected_on[fixed]])
        wrong = np.concatenate([lines.corrected_on < world.clock.days, np.zeros(len(fixed), bool)])
        sequence = np.lexsort((line, day))
        self.day, self._line, self._wrong = day[sequence], line[sequence], wrong[sequence]

    def render(self, world: World, lo: int, hi: int) -> Column:
        """Rows lo to hi of the deliveries."""
        lines, row = world.lines, self._line[lo:hi]
        tax = world.catalogue.tax[lines.product[row]]
        columns = [
            line_ids(row),
            order_ids(lines.order[row]),
            skus(lines.product[row]),
            decimals(lines.quantity[row], 3),
            decimals(lines.price[row], 2),
            decimals(np.where(self._wrong[lo:hi], 0, lines.discount[row]), 2),
            decimals(tax, 3),
        ]
        return separated(columns, LAYOUTS["order_lines"].delimiter)


def render_returns(world: World, lo: int, hi: int) -> Column:
    """Rows lo to hi of the returns."""
    returns = world.returns
    columns = [
        identifiers("RT", np.arange(lo, hi), 9),
        line_ids(returns.line[lo:hi]),
        timestamps(returns.at[lo:hi]),
        decimals(returns.quantity[lo:hi], 3),
        decimals(returns.amount[lo:hi], 2),
    ]
    return separated(columns, LAYOUTS["returns"].delimiter)


def product_files(world: World) -> dict[int, list[str]]:
    """The whole product list of each day on which it changed."""
    catalogue = world.catalogue
    codes = skus(np.arange(len(catalogue.category))).to_pylist()
    files = {}
    for version, day in enumerate(catalogue.version_days.tolist()):
        costs = decimals(catalogue.cost[version], 4, ",").to_pylist()
        files[day] = [
            ";".join((codes[k], quoted(name, ";"), CATEGORIES[catalogue.category[k]][0], brand, costs[k]))
            for k, name in enumerate(catalogue.names(version))
            for brand in (BRANDS[catalogue.brand[k]],)
            if catalogue.listed[version, k]
        ]
    return files


def channel_files(world: World) -> dict[int, list[str]]:
    """The whole channel list, on the first day and when a channel is renamed half-way."""

    def rows(renamed: bool) -> list[str]:
        return [
            ";".join(
                (
                    code,
                    quoted(RENAMED_CHANNEL_NAME if renamed and k == RENAMED_CHANNEL else name, ";"),
                    kind,
                    "true" if direct else "false",
                )
            )
            for k, (code, name, kind, direct) in enumerate(CHANNELS)
        ]

    half = world.clock.days // 2
    return {0: rows(False)} | ({half: rows(True)} if half > 0 else {})


def rate_files(world: World) -> dict[int, list[str]]:
    """Rates of each day that has any."""
    rates = world.rates
    files = {}
    for day in np.flatnonzero(rates.published).tolist():
        iso = world.clock.dates[day].isoformat()
        files[day] = [
            f"{code},{iso},{millionths // 1_000_000}.{millionths % 1_000_000:06d}"
            for code, millionths in zip(CURRENCIES[1:], rates.rate[day, 1:].tolist(), strict=True)
        ]
    return files
