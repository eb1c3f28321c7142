"""The sample, from the world to the files."""

import shutil
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from orchestration.sample import render_marketing, render_people, render_sales
from orchestration.sample.dirt import soil
from orchestration.sample.draws import Ints
from orchestration.sample.layout import LAYOUTS
from orchestration.sample.render_sales import LineFeed
from orchestration.sample.text import Column
from orchestration.sample.truth import write_truth
from orchestration.sample.world import World, make_world
from orchestration.sample.write import write_lists, write_parquet, write_text

Progress = Callable[[str, float], None]


class SampleError(ValueError):
    """The sample cannot be made as asked; the message says what to change."""


def generate_sample(
    out: Path, customers: int, start: date, end: date, seed: int, dirt: float, progress: Progress | None
) -> dict[str, int]:
    """See `orchestration.sample.generate`."""
    if customers < 1:
        raise SampleError(f"A sample needs at least one customer, not {customers}.")
    if end < start:
        raise SampleError(f"The end {end} lies before the start {start}; swap them.")
    if not 0.0 <= dirt <= 0.5:
        raise SampleError(f"The rate of dirt is a share between 0 and 0.5, not {dirt}.")
    report = progress or (lambda _step, _share: None)
    _make_room(out)
    report("people, orders, visits", 0.0)
    world = make_world(customers, start, end, seed)
    rows = _write_world(world, out, report)
    write_truth(world, out / "truth")
    report("dirt", 0.9)
    soil(out, world.clock, seed, dirt)
    report("done", 1.0)
    return rows


def _make_room(out: Path) -> None:
    """Remove a former sample; refuse to touch anything else."""
    folders = sorted({layout.path.split("/")[0] for layout in LAYOUTS.values()})
    mark = out / "truth" / "model.csv"
    present = [name for name in folders if (out / name).exists()]
    if present and not mark.exists():
        raise SampleError(
            f"{out} already has {', '.join(present)}, not written by a sample; choose another folder or remove them."
        )
    for name in present:
        shutil.rmtree(out / name)
    if mark.exists():
        shutil.rmtree(mark.parent)
    mark.parent.mkdir(parents=True, exist_ok=True)
    # marks the folder as ours before the first file, so that an interrupted sample can be made again
    mark.write_bytes(b"")


def _write_world(world: World, out: Path, report: Progress) -> dict[str, int]:
    """Write all landing files; returns the rows by table."""
    clock = world.clock
    lines = LineFeed(world)
    texts: dict[str, tuple[Ints, Callable[[World, int, int], Column]]] = {
        "customers": (world.account_feed.day, render_people.render_customers),
        "consents": (world.consent_feed.day, render_people.render_consents),
        "orders": (world.order_feed.day, render_sales.render_orders),
        "order_lines": (lines.day, lines.render),
        "returns": (world.returns.day, render_sales.render_returns),
        "campaign_costs": (world.costs.day, render_marketing.render_costs),
        "campaign_reactions": (clock.day_of(world.reactions.at), render_marketing.render_reactions),
        "web_events": (world.events.day, render_marketing.render_events),
    }
    rows: dict[str, int] = {}
    for step, (table, (day, render)) in enumerate(texts.items()):
        report(table, 0.3 + 0.07 * step)
        rows[table] = write_text(out, table, clock, day, partial(render, world))
    sent = clock.day_of(world.messages.at)
    slices = partial(render_marketing.message_table, world)
    rows["campaign_messages"] = write_parquet(out, "campaign_messages", clock, sent, slices)
    lists = {
        "campaigns": render_marketing.campaign_files(world),
        "products": render_sales.product_files(world),
        "channels": render_sales.channel_files(world),
        "exchange_rates": render_sales.rate_files(world),
    }
    for table, files in lists.items():
        rows[table] = write_lists(out, table, clock, files)
    return rows
