"""Order lines and returns; all amounts in cents of the order's currency."""

from dataclasses import dataclass

import numpy as np

from orchestration.sample.catalogue import PRODUCTS, TEA, Catalogue, Rates
from orchestration.sample.clock import HOUR, Clock
from orchestration.sample.draws import Bools, Draws, Ints, divide_rounded
from orchestration.sample.orders import MODEL, SENT_BACK, UPLIFT, OrderFeed, Orders
from orchestration.sample.people import NEVER

_LINES_PER_ORDER = (40, 27, 15, 9, 5, 3, 1)
_QUANTITIES = (1000, 2000, 3000, 4000, 6000)
_WEIGHTS = (250, 500, 750, 1250, 1500)


@dataclass(frozen=True)
class Lines:
    """One row per order line, ordered by order; quantities in thousandths."""

    order: Ints
    number: Ints  # 0 for the first line of its order
    product: Ints
    quantity: Ints
    price: Ints
    gross: Ints
    discount: Ints
    corrected_on: Ints  # day on which a wrong first delivery (without discount) is corrected, NEVER

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Returns:
    """One row per return, in the order of time; `at` is local wall-clock seconds."""

    line: Ints
    day: Ints
    at: Ints
    quantity: Ints
    amount: Ints

    def __len__(self) -> int:
        return len(self.line)


@dataclass(frozen=True)
class EuroAmounts:
    """Of each line, in cents of EUR at the rate of the order's date; cost of the goods kept."""

    gross: Ints
    discount: Ints
    returned: Ints
    returned_quantity: Ints
    cost: Ints


def make_lines(draws: Draws, orders: Orders, feed: OrderFeed, catalogue: Catalogue, clock: Clock) -> Lines:
    """Lines whose net amounts add up to the order's basket, but for list prices rounded to the nearest product.

    Where a line has a discount, it makes up the difference to the cent.
    """
    count = draws.pick(_LINES_PER_ORDER, len(orders)) + 1
    order = np.repeat(np.arange(len(orders)), count)
    n = len(order)
    begin = np.cumsum(count) - count
    number = np.arange(n) - begin[order]
    weight = draws.integers(25, 126, n)
    total = np.add.reduceat(weight, begin) if n else weight
    target = np.maximum(orders.basket[order] * weight // total[order], 30)

    quantity = np.asarray(_QUANTITIES, dtype=np.int64)[draws.pick((76, 14, 6, 3, 1), n)]
    discounted = draws.chance(0.3, n)
    raised = target * np.where(discounted, draws.integers(105, 140, n), 100) // 100
    euro_price = catalogue.price[:, 0]
    product = _nearest(euro_price, raised * 1000 // quantity) + draws.integers(-1, 2, n)
    product = np.clip(product, 0, PRODUCTS - 1)
    # loose tea is sold by weight
    loose = np.asarray(_WEIGHTS, dtype=np.int64)[draws.integers(0, len(_WEIGHTS), n)]
    weighed = _nearest(euro_price, raised * 1000 // loose)
    tea = (catalogue.category[product] == TEA) & (catalogue.category[weighed] == TEA)
    tea &= draws.chance(0.6, n)
    quantity, product = np.where(tea, loose, quantity), np.where(tea, weighed, product)

    currency = orders.currency[order]
    price = catalogue.price[product, currency]
    gross = divide_rounded(quantity * price, 1000)
    # the basket is in EUR; the dearest product gives the fixed rate of the price lists
    local_target = target * catalogue.price[-1, currency] // catalogue.price[-1, 0]
    discount = np.where(discounted, np.clip(gross - local_target, 0, gross * 2 // 5), 0)
    fixed_on = feed.delivered[order] + draws.integers(1, 4, n)
    wrong = draws.chance(0.01, n) & (discount > 0) & (fixed_on < clock.days)
    return Lines(
        order=order,
        number=number,
        product=product,
        quantity=quantity,
        price=price,
        gross=gross,
        discount=discount,
        corrected_on=np.where(wrong, fixed_on, NEVER),
    )


def _nearest(prices: Ints, wanted: Ints) -> Ints:
    """Position of the price nearest to each wanted one in an ascending list."""
    above = np.clip(np.searchsorted(prices, wanted), 1, len(prices) - 1)
    result: Ints = above - (wanted - prices[above - 1] < prices[above] - wanted)
    return result


def make_returns(draws: Draws, orders: Orders, lines: Lines, clock: Clock) -> Returns:
    """Whole and partial returns, some weeks later, twice for a few lines; none after the range.

    A kept order never comes back whole: its first line is returned in part at most.
    """
    n = len(lines)
    kind = orders.kind[lines.order]
    kept = (kind == MODEL) | (kind == UPLIFT)
    units = np.where(lines.quantity % 1000 == 0, lines.quantity // 1000, 1)
    piece = np.where(lines.quantity % 1000 == 0, 1000, lines.quantity)
    chosen = kept & draws.chance(0.045, n)
    several = units > 1
    whole = chosen & (lines.number > 0) & (draws.chance(0.6, n) | ~several)
    partial = chosen & ~whole & several
    again = partial & (units > 2) & draws.chance(0.4, n)
    back = kind == SENT_BACK
    lag = draws.integers(3, 41, n)
    # all lines of an order sent back travel together
    lag = np.where(back, 4 + lines.order % 25, lag)
    day = np.minimum(clock.day_of(orders.at), clock.days - 1)[lines.order] + lag
    net = lines.gross - lines.discount

    def part(rows: Bools, quantity: Ints, day: Ints) -> tuple[Ints, Ints, Ints]:
        seen = np.flatnonzero(rows & (day < clock.days))
        return seen, day[seen], quantity[seen]

    pieces = [
        part(whole | back, lines.quantity, day),
        part(partial, piece, day),
        part(again, piece, day + 1 + lag // 4),
    ]
    line, when, quantity = (np.concatenate([p[k] for p in pieces]) for k in range(3))
    second = draws.integers(9 * HOUR, 19 * HOUR, len(line))
    sequence = np.lexsort((line, second, when))
    line, when, quantity, second = (x[sequence] for x in (line, when, quantity, second))
    return Returns(
        line=line,
        day=when,
        at=clock.wall_at(when, second),
        quantity=quantity,
        amount=net[line] * quantity // lines.quantity[line],
    )


def euro_amounts(
    orders: Orders, lines: Lines, returns: Returns, catalogue: Catalogue, rates: Rates, clock: Clock
) -> EuroAmounts:
    """Amounts in the reporting currency, each rounded to the cent, halves away from zero, in whole numbers.

    Gross is quantity x unit price x rate rounded once; a return is converted at the rate of its order's date.
    """
    day = clock.day_of(orders.at)[lines.order]
    rate = rates.rate[day, orders.currency[lines.order]]
    returned = np.zeros(len(lines), dtype=np.int64)
    np.add.at(returned, returns.line, divide_rounded(returns.amount * rate[returns.line], 1_000_000))
    returned_quantity = np.zeros(len(lines), dtype=np.int64)
    np.add.at(returned_quantity, returns.line, returns.quantity)
    cost = catalogue.cost_on(lines.product, day)
    return EuroAmounts(
        gross=divide_rounded(lines.quantity * lines.price * rate, 1_000_000_000),
        discount=divide_rounded(lines.discount * rate, 1_000_000),
        returned=returned,
        returned_quantity=returned_quantity,
        cost=divide_rounded((lines.quantity - returned_quantity) * cost, 100_000),
    )


def fully_returned(lines: Lines, amounts: EuroAmounts, orders: int) -> Bools:
    """Orders of which no line keeps a piece."""
    left: Ints = np.zeros(orders, dtype=np.int64)
    np.add.at(left, lines.order, lines.quantity - amounts.returned_quantity)
    result: Bools = left == 0
    return result
