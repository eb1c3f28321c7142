"""Products, channels and exchange rates of the sample retailer."""

from dataclasses import dataclass

import numpy as np

from orchestration.sample.clock import Clock
from orchestration.sample.draws import Bools, Draws, Ints, divide_rounded, exact_exp

CURRENCIES = ("EUR", "GBP", "CHF", "USD")
# millionths of EUR for one unit on the first day
_FIRST_RATES = (1_000_000, 1_136_000, 1_012_000, 934_000)

# code, name, type, is_direct
CHANNELS = (
    ("ST-PAR", "Boutique Paris", "store", True),
    ("ST-LYO", "Boutique Lyon", "store", True),
    ("ST-LIL", "Boutique Lille", "store", True),
    ("WEB", "Web shop", "ecommerce", True),
    ("APP", "Mobile app", "ecommerce", True),
    ("MKT", "Marketplace", "marketplace", False),
    ("DIST", "Distributors", "distributor", False),
    ("CALL", "Call centre", "call_centre", True),
)
STORES = 3
WEB, APP, MARKETPLACE, DISTRIBUTOR, CALL = 3, 4, 5, 6, 7
RENAMED_CHANNEL, RENAMED_CHANNEL_NAME = MARKETPLACE, 'Marketplace "Grand Bazar"; partners'

_ADJECTIVES = ("Blue", "Copper", "Quiet", "Northern", "Velvet", "Amber", "Paper", "Wild", "Folded", "Silver")
# name, tax rate in thousandths, share of the price that is cost in percent
CATEGORIES: tuple[tuple[str, int, int], ...] = (
    ("Tea", 55, 42),
    ("Kitchen", 200, 52),
    ("Tableware", 200, 48),
    ("Textiles", 200, 45),
    ("Stationery", 200, 40),
    ("Lighting", 200, 58),
    ("Garden", 200, 55),
    ("Books", 55, 62),
)
_NOUNS = (
    ("breakfast tea", "green tea", "verbena", "rooibos"),
    ("pan", "kettle", "whisk", "chopping board"),
    ("plate", "carafe", "bowl", "cup"),
    ("plaid", "cushion", "tea towel", "throw"),
    ("notebook", "pencil set", "calendar", "envelope box"),
    ("lamp", "lantern", "candle", "night light"),
    ("planter", "watering can", "bird house", "secateurs"),
    ("cookery book", "atlas", "novel", "picture book"),
)
BRANDS = ("Maison Lanterne", "Hérisson & Co", "Atelier Sept", "Fidelis", "Nord Ouest")
PRODUCTS = 400
TEA = 0


@dataclass(frozen=True)
class Catalogue:
    """Products sorted by price.

    `price` (products x currencies) in cents of each currency, `tax` in thousandths; `cost` (versions x
    products) in ten-thousandths of EUR and `name` in force from each of `version_days`; `listed` says
    which products a version's file contains.
    """

    price: Ints
    tax: Ints
    category: Ints
    brand: Ints
    version_days: Ints
    cost: Ints
    renamed: Ints
    listed: Bools

    def names(self, version: int) -> list[str]:
        """Product names as of a version."""
        return [
            product_name(k, int(c), int(r))
            for k, (c, r) in enumerate(zip(self.category, self.renamed[version], strict=True))
        ]

    def cost_on(self, product: Ints, day: Ints) -> Ints:
        """Unit cost valid on each day, in ten-thousandths of EUR."""
        version = np.maximum(np.searchsorted(self.version_days, day, side="right") - 1, 0)
        result: Ints = self.cost[version, product]
        return result


def product_name(product: int, category: int, renamed: int) -> str:
    """Name of a product; some hold quotes and semicolons, as real ones do."""
    adjective = _ADJECTIVES[product % len(_ADJECTIVES)]
    noun = _NOUNS[category][product // 10 % 4]
    name = f"{adjective} {noun} no. {product + 1}"
    if product % 37 == 5:
        name = f'{adjective} {noun} "Aube"; no. {product + 1}'
    return f"{name}, new recipe" if renamed else name


def make_catalogue(draws: Draws, clock: Clock) -> Catalogue:
    """400 products from 0.90 to about 900 EUR, some of whose costs, names or presence change on the way."""
    steps = np.arange(PRODUCTS, dtype=np.float64) * (6.9077 / PRODUCTS)
    price = np.rint(90.0 * exact_exp(steps)).astype(np.int64)
    category = draws.pick((16, 14, 14, 12, 12, 12, 10, 10), PRODUCTS)
    share = np.asarray([c[2] for c in CATEGORIES], dtype=np.int64)[category]
    cost = price * (share + draws.integers(-6, 7, PRODUCTS)) + draws.integers(0, 90, PRODUCTS)

    days, costs, renames, listed = (
        [0],
        [cost],
        [np.zeros(PRODUCTS, dtype=np.int64)],
        [np.ones(PRODUCTS, bool)],
    )
    for step, day in enumerate(range(16, clock.days, 16), start=1):
        touched = draws.integers(0, PRODUCTS, 9)
        cost, rename, present = costs[-1].copy(), renames[-1].copy(), listed[-1].copy()
        factor = draws.integers(94, 110, 9)
        if step % 10 == 0:
            present[touched[-1]] = False
        # what is no longer listed is no longer delivered: its cost and name stay as last delivered
        factor, touched = factor[present[touched]], touched[present[touched]]
        cost[touched] = divide_rounded(cost[touched] * factor, 100)
        if step % 3 == 0:
            rename[touched[:2]] = 1
        days.append(day)
        costs.append(cost)
        renames.append(rename)
        listed.append(present)
    first = np.asarray(_FIRST_RATES, dtype=np.int64)
    return Catalogue(
        price=divide_rounded(price[:, None] * 1_000_000, first[None, :]),
        tax=np.asarray([c[1] for c in CATEGORIES], dtype=np.int64)[category],
        category=category,
        brand=draws.integers(0, len(BRANDS), PRODUCTS),
        version_days=np.asarray(days, dtype=np.int64),
        cost=np.stack(costs),
        renamed=np.stack(renames),
        listed=np.stack(listed),
    )


@dataclass(frozen=True)
class Rates:
    """Exchange rates in millionths of EUR.

    `published` (days) says when a file comes, `rate` (days x currencies) gives the last known rate.
    """

    published: Bools
    rate: Ints


def make_rates(draws: Draws, clock: Clock) -> Rates:
    """Rates of working days: a walk pulled back to its beginning; none on weekends and two holidays."""
    published = np.asarray(
        [d.weekday() < 5 and (d.month, d.day) not in ((1, 1), (12, 25)) for d in clock.dates], dtype=np.bool_
    )
    published[0] = True
    base = np.asarray(_FIRST_RATES, dtype=np.int64)
    rate = base.copy()
    steps = draws.integers(-4_000, 4_001, clock.days * len(base)).reshape(clock.days, len(base))
    table = np.empty((clock.days, len(base)), dtype=np.int64)
    for day in range(clock.days):
        if published[day]:
            rate = rate + steps[day] + (base - rate) // 100
            rate[0] = base[0]
        table[day] = rate
    return Rates(published=published, rate=table)
