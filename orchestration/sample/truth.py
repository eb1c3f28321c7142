"""What the mart must show, and what nobody can observe, written beside the landing files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sample.catalogue import CHANNELS
from orchestration.sample.draws import Bools, Floats, Ints
from orchestration.sample.households import KINDS
from orchestration.sample.lines import fully_returned
from orchestration.sample.orders import ANONYMOUS, CANCELLED_STATUS, TEST
from orchestration.sample.render_marketing import visitor_ids
from orchestration.sample.render_people import account_ids
from orchestration.sample.render_sales import order_ids
from orchestration.sample.text import Column, decimals, identifiers, separated, where, words
from orchestration.sample.world import World

CHUNK = 500_000


def kept_orders(world: World) -> Bools:
    """Orders that are neither tests nor cancelled nor wholly returned, as of the end."""
    returned = fully_returned(world.lines, world.amounts, len(world.orders))
    test = world.orders.kind == TEST
    cancelled = world.order_feed.final_status == CANCELLED_STATUS
    result: Bools = ~test & ~cancelled & ~returned
    return result


def totals(world: World) -> list[tuple[str, str]]:
    """Metric and value, counts and amounts in EUR with two decimals."""
    orders, lines, amounts = world.orders, world.lines, world.amounts
    kept = kept_orders(world)
    kept_line = kept[lines.order]
    person = orders.account >= 0
    rows: list[tuple[str, str]] = [
        ("orders", str(len(orders))),
        ("kept_orders", str(int(kept.sum()))),
        ("test_orders", str(int((orders.kind == TEST).sum()))),
        ("cancelled_orders", str(int((world.order_feed.final_status == CANCELLED_STATUS).sum()))),
        ("identified_orders", str(int(person.sum()))),
        ("kept_identified_orders", str(int((kept & person).sum()))),
        ("kept_customers", str(len(np.unique(orders.account[kept & person])))),
        ("order_lines", str(len(lines))),
        ("kept_order_lines", str(int(kept_line.sum()))),
    ]
    net = amounts.gross - amounts.discount - amounts.returned
    for name, values in (
        ("gross_amount", amounts.gross),
        ("discount_amount", amounts.discount),
        ("returned_amount", amounts.returned),
        ("net_amount", net),
        ("cost_amount", amounts.cost),
        ("margin_amount", net - amounts.cost),
    ):
        rows.append((f"all_{name}", _money(int(values.sum()))))
        rows.append((f"kept_{name}", _money(int(values[kept_line].sum()))))
    costs = world.costs
    latest = {(int(c), int(d)): int(a) for c, d, a in zip(costs.campaign, costs.cost_day, costs.amount, strict=True)}
    rows += [
        ("returns", str(len(world.returns))),
        ("customers", str(len(world.accounts.person))),
        ("sessions", str(world.events.sessions)),
        ("web_events", str(len(world.events.at))),
        ("messages", str(len(world.messages))),
        ("controls", str(int(world.messages.control.sum()))),
        ("reactions", str(len(world.reactions.at))),
        ("campaigns", str(len(world.plan))),
        ("campaign_cost_days", str(len(latest))),
        ("campaign_cost_amount", _money(sum(latest.values()))),
        ("consents", str(len(world.consent_feed.day))),
        ("products", str(len(world.catalogue.category))),
        ("channels", str(len(CHANNELS))),
        ("exchange_rates", str(3 * int(world.rates.published.sum()))),
    ]
    return rows


def _money(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def write_truth(world: World, folder: Path) -> None:
    """Write all files of the truth but `dirt.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = world.model
    parameters = [f"{name},{getattr(model, name)}" for name in ("r", "alpha", "a", "b", "p", "q", "v")]
    _lines(folder / "model.csv", "parameter,value", [*parameters, f"seed,{world.seed}"])
    _lines(folder / "totals.csv", "metric,value", [f"{name},{value}" for name, value in totals(world)])
    _campaigns(world, folder / "campaigns.csv")
    _customers(world, folder / "customers.csv")
    _identities(world, folder / "identities.csv")
    _households(world, folder / "households.csv")


def _lines(path: Path, head: str, rows: list[str]) -> None:
    path.write_bytes(("\n".join([head, *rows]) + "\n").encode())


def _share(part: int, whole: int) -> str:
    """A share with six decimals, rounded down, from whole numbers."""
    millionths = part * 1_000_000 // whole if whole else 0
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def _campaigns(world: World, path: Path) -> None:
    plan, effect = world.plan, world.effect
    caused = np.bincount(world.messages.campaign[world.messages.caused], minlength=len(plan))
    rows = []
    for k in range(len(plan)):
        audience, anyway = int(effect.audience[k]), int(effect.ordering_anyway[k])
        # a message causes an order only where there would have been none
        uplift = _share(int(plan.effect[k]) * (audience - anyway), 10_000 * audience)
        rows.append(
            f"{plan.code(k)},{audience},{int(effect.held_back[k])},{_share(anyway, audience)},"
            f"{_share(int(plan.effect[k]), 10_000)},{uplift},{int(caused[k])}"
        )
    head = "campaign_id,audience,controls,base_conversion,effect_where_no_order,true_uplift,caused_orders"
    _lines(path, head, rows)


def person_ids(persons: Ints) -> Column:
    """True identity of persons."""
    return identifiers("PERSON", persons, 8)


def _reals(values: Floats) -> Column:
    """Numbers with nine decimals."""
    return decimals(np.rint(values * 1e9).astype(np.int64), 9)


def _customers(world: World, path: Path) -> None:
    accounts, latent = world.accounts, world.latent
    mean = world.model.p / latent.nu
    with path.open("wb") as file:
        file.write(b"customer_id,person_id,purchases_per_day,leaving_probability,mean_spend,buys\n")
        for lo in range(0, len(accounts.person), CHUNK):
            row = np.arange(lo, min(lo + CHUNK, len(accounts.person)))
            person = accounts.person[row]
            columns = [
                account_ids(accounts, row),
                person_ids(person),
                _reals(latent.rate[person]),
                _reals(latent.leaving[person]),
                _reals(mean[person]),
                words(("false", "true"), latent.buys[person].astype(np.int64)),
            ]
            file.write(_bytes(separated(columns, ",")))


def _identities(world: World, path: Path) -> None:
    """Source records and their person: accounts, guest orders, visitors of known persons."""
    orders = world.orders
    guests = np.flatnonzero((orders.account < 0) & (orders.person >= 0) & (orders.kind != ANONYMOUS))
    visitors = np.unique(world.events.visits.visitor[world.events.visit])
    # a device of two persons is nobody's
    visitors = visitors[(visitors < world.events.visitors) & ~np.isin(visitors, world.households.devices)]
    account_rows = np.arange(len(world.accounts.person))
    with path.open("wb") as file:
        file.write(b"record_type,record_id,person_id\n")
        for kind, rows, make, person in (
            ("account", account_rows, lambda r: account_ids(world.accounts, r), world.accounts.person),
            ("guest_order", guests, order_ids, orders.person[guests]),
            ("visitor", visitors, visitor_ids, visitors // 2),
        ):
            for lo in range(0, len(rows), CHUNK):
                part = rows[lo : lo + CHUNK]
                columns = [words([kind], part * 0), make(part), person_ids(person[lo : lo + CHUNK])]
                file.write(_bytes(separated(columns, ",")))


def _households(world: World, path: Path) -> None:
    """Persons who share an e-mail address or a birthday and a home, and the visitor id of the device of both, if any."""
    homes = world.households
    columns = [
        words(KINDS, homes.kind),
        person_ids(homes.first),
        person_ids(homes.first + 1),
        where(homes.share_device, visitor_ids(homes.first * 2)),
    ]
    path.write_bytes(b"household,person_id,other_person_id,visitor_id\n" + _bytes(separated(columns, ",")))


def _bytes(rows: Column) -> bytes:
    """The text of rows, one after another."""
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "")
    return bytes(joined[0].as_buffer())
