"""Any deliveries in any order: what nights build bit by bit equals what one full refresh builds of the same raw zone.

Deliveries are late, repeated, corrected, shortened and broken; runs overlap, go back, and stop half-way. The keys come from small
pools, so that everything meets everything: lines before their orders, returns of lines that go, accounts that appear and leave.
"""

import csv
import datetime as dt
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from orchestration.contracts import Contract, default_contracts, load_contracts
from orchestration.extraction import extract
from tests.support import replay
from tests.support.world import assert_accounted, settings_in

FIRST = dt.date(2024, 2, 27)
DAYS = [FIRST + dt.timedelta(days=i) for i in range(6)]
TABLES = tuple(default_contracts())

Row = dict[str, Any]


def _moment(rng: random.Random, day: dt.date) -> str:
    earlier = dt.timedelta(
        days=rng.choice((0, 0, 0, 1, 3, 40)), minutes=rng.choice((0, 20, 29, 31)), hours=rng.choice((0, 9, 23))
    )
    return f"{dt.datetime.combine(day, dt.time()) + dt.timedelta(hours=23, minutes=45) - earlier:%Y-%m-%d %H:%M:%S}"


def _long_ago(rng: random.Random, day: dt.date) -> dt.date:
    """Half of what is delivered is of these days, half a month, a year or two ago, which months are compared with."""
    return day - dt.timedelta(days=rng.choice((0, 0, 0, 0, 0, 31, 300, 366, 500, 731)))


def _pick(rng: random.Random, prefix: str, number: int) -> str:
    return f"{prefix}{rng.randrange(number)}"


def _maybe(rng: random.Random, value: Any) -> Any:
    return value if rng.random() < 0.6 else ""


MAKERS: dict[str, Callable[[random.Random, dt.date], Row]] = {
    "channels": lambda r, d: {
        "channel_id": _pick(r, "ch", 3), "channel_name": _pick(r, "Shop ", 2),
        "channel_type": r.choice(("store", "ecommerce", "distributor")), "is_direct": r.choice(("true", "false")),
    },
    "products": lambda r, d: {
        "product_id": _pick(r, "p", 4), "product_name": _pick(r, "Thing ", 2), "unit_cost": r.choice(("1.5", "2", "0.333")),
    },
    "exchange_rates": lambda r, d: {
        "currency": r.choice(("USD", "GBP")), "rate_date": str(d - dt.timedelta(days=r.choice((0, 1, 45)))),
        "rate": r.choice(("0.9", "1.13", "0.85")),
    },
    "customers": lambda r, d: {
        "customer_id": _pick(r, "c", 5), "source_system": r.choice(("crm", "shop")), "email": _maybe(r, _pick(r, "a@b.c", 3)),
        "postal_code": r.choice(("75001", "69002")), "birth_date": r.choice(("1980-02-29", "1990-01-01")),
        "is_member": r.choice(("true", "false")), "acquisition_channel_id": _maybe(r, _pick(r, "ch", 4)),
        "country": r.choice(("FR", "BE")), "created_on": _maybe(r, str(_long_ago(r, d))),
        "member_since": _maybe(r, str(_long_ago(r, d))),
    },
    "consents": lambda r, d: {
        "customer_id": _pick(r, "c", 6), "consent_type": r.choice(("email", "profiling")),
        "is_granted": r.choice(("true", "false")), "recorded_at": _moment(r, d),
    },
    "orders": lambda r, d: {
        "order_id": _pick(r, "o", 8), "customer_id": _maybe(r, _pick(r, "c", 6)), "channel_id": _pick(r, "ch", 4),
        "ordered_at": _moment(r, _long_ago(r, d)), "currency": r.choice(("EUR", "EUR", "USD")),
        "status": r.choice(("placed", "shipped", "completed", "completed", "cancelled")), "is_test": r.choice(("false",) * 5 + ("true",)),
        "campaign_id": _maybe(r, _pick(r, "k", 3)), "coupon_code": r.choice(("", "", "ten")),
    },
    "order_lines": lambda r, d: {
        "order_line_id": _pick(r, "l", 14), "order_id": _pick(r, "o", 9), "product_id": _pick(r, "p", 5),
        "quantity": r.choice(("1", "2", "0.5")), "unit_price": r.choice(("10", "19.99")), "discount_amount": _maybe(r, "1"),
        "tax_rate": "0.2",
    },
    "returns": lambda r, d: {
        "return_id": _pick(r, "r", 6), "order_line_id": _pick(r, "l", 15), "returned_at": _moment(r, _long_ago(r, d)),
        "quantity": r.choice(("1", "2", "0.5")), "amount": r.choice(("5", "10")),
    },
    "web_events": lambda r, d: {
        "event_id": _pick(r, "e", 20), "visitor_id": _pick(r, "v", 3), "customer_id": _maybe(r, _pick(r, "c", 7)),
        "event_at": _moment(r, _long_ago(r, d)), "event_type": r.choice(("page_view", "purchase")), "order_id": _maybe(r, _pick(r, "o", 8)),
        "utm_campaign": _maybe(r, _pick(r, "k", 3)), "utm_medium": "cpc", "page_path": _pick(r, "/", 3),
    },
    "campaigns": lambda r, d: {
        "campaign_id": _pick(r, "k", 3), "campaign_name": _pick(r, "News ", 2), "medium": r.choice(("email", "sms", "mail")),
        "started_on": "2024-02-01", "coupon_code": _maybe(r, "TEN"), "reports_conversions": _maybe(r, r.choice(("true", "false"))),
    },
    "campaign_costs": lambda r, d: {
        "campaign_id": _pick(r, "k", 4), "cost_date": str(d - dt.timedelta(days=r.randrange(3))), "cost_amount": r.choice(("10", "20.50")),
        "currency": r.choice(("EUR", "USD")),
    },
    "campaign_messages": lambda r, d: {
        "message_id": _pick(r, "m", 8), "campaign_id": _pick(r, "k", 4), "customer_id": _pick(r, "c", 7), "sent_at": _moment(r, d),
        "is_control": r.choice(("true", "false")),
    },
    "campaign_reactions": lambda r, d: {
        "reaction_id": _pick(r, "x", 12), "message_id": _pick(r, "m", 9), "reacted_at": _moment(r, d),
        "reaction_type": r.choice(("opened", "clicked", "converted", "bounced")), "order_id": _maybe(r, _pick(r, "o", 8)),
        "user_agent": _maybe(r, "GoogleImageProxy"),
    },
}  # fmt: skip


def _contracts(folder: Path, full: frozenset[str]) -> dict[str, Contract]:
    """The default contracts over plain files with our own names as headers; tables in ``full`` are delivered whole."""
    written = folder / "contracts"
    written.mkdir()
    for table, contract in default_contracts().items():
        document = yaml.safe_load(contract.file.read_text())
        document["servers"] = [
            {"server": "landing", "type": "local", "path": f"{table}_{{date}}.csv", "format": "csv",
             "customProperties": [{"property": "timezone", "value": "Europe/Paris"}]}
        ]  # fmt: skip
        schema = document["schema"][0]
        schema["customProperties"] = [
            {"property": "toleratedBadRows", "value": 1.0} if p["property"].startswith("toleratedBadRows")
            else {"property": "deliveryRequired", "value": False} if p["property"] == "deliveryRequired"
            else {"property": "deliveryMode", "value": "full"} if p["property"] == "deliveryMode" and table in full
            else p
            for p in schema["customProperties"] if p["property"] != "toleratedBadRowsAtLeast"
        ]  # fmt: skip
        columns = set(MAKERS[table](random.Random(0), FIRST))
        schema["properties"] = [
            {**{k: v for k, v in p.items() if k != "customProperties"}, "physicalName": p["name"]}
            for p in schema["properties"]
            if p["name"] in columns
        ]
        absent = {c.name for c in contract.columns} - columns
        schema["quality"] = [q for q in schema.get("quality", []) if not any(name in str(q) for name in absent)]
        (written / f"{table}.yaml").write_text(yaml.safe_dump(document))
    return load_contracts(written)


class AnyOrder(RuleBasedStateMachine):
    """A retailer whose nights go every way but the straight one."""

    recording: replay.Recording

    def __init__(self) -> None:
        super().__init__()
        # in memory where there is such a place: a build waits for the disk after each of its statements
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="any-order-", dir=memory if memory.is_dir() else None))
        self.settings = settings_in(self.folder, first_day=FIRST)
        self.deliveries = 0

    @initialize(
        full=st.frozensets(st.sampled_from(("returns", "customers", "exchange_rates")), max_size=1),
        seed=st.integers(0, 10_000),
    )
    def open_shop(self, full: frozenset[str], seed: int) -> None:
        """Everything of the first days, built: what comes then is a night on top of it."""
        self.contracts = _contracts(self.folder, full)
        rng = random.Random(seed)
        for day in DAYS[:2]:
            for table in TABLES:
                self._write(table, day, [MAKERS[table](rng, day) for _ in range(8)])
        self.run(FIRST, 2)

    @rule(
        day=st.sampled_from(DAYS),
        tables=st.lists(st.sampled_from(TABLES), min_size=1, max_size=6, unique=True),
        seeds=st.lists(st.integers(0, 10_000), max_size=12),
        broken=st.integers(0, 8),
        at_once=st.booleans(),
    )
    def deliver(self, day: dt.date, tables: list[str], seeds: list[int], broken: int, at_once: bool) -> None:
        """New, late, repeated or corrected: the file of the day is another one now; loaded by a later run or by one at once."""
        # orders have most that depends on them
        for table in sorted({*tables, "orders", "order_lines"} if at_once else tables):
            rows = [MAKERS[table](random.Random(f"{table} {seed}"), day) for seed in seeds]
            for row in rows[: broken - 6] if broken > 6 else []:
                row[random.Random(broken).choice(list(row))] = "\x01 broken" * 20
            self._write(table, day, rows)
        if at_once:
            self.run(day, 1)

    @rule(day=st.sampled_from(DAYS), table=st.sampled_from(TABLES), dropped=st.integers(0, 5))
    def correct(self, day: dt.date, table: str, dropped: int) -> None:
        """The same delivery again, without some of its rows."""
        path = self.settings.landing_dir / f"{table}_{day}.csv"
        if path.exists():
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            self._write(table, day, [row for i, row in enumerate(rows) if i % 6 != dropped])

    def _write(self, table: str, day: dt.date, rows: list[Row]) -> None:
        self.deliveries += 1
        path = self.settings.landing_dir / f"{table}_{day}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(MAKERS[table](random.Random(0), day)), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    @rule(first=st.sampled_from(DAYS), length=st.integers(1, 6))
    def run(self, first: dt.date, length: int) -> None:
        """A night or a backfill, over any range, loaded before or not."""
        self._extract(first, length)
        replay.build(self.settings, self.contracts, self.recording)

    @rule(first=st.sampled_from(DAYS), length=st.integers(1, 6), share=st.floats(0, 1))
    def killed(self, first: dt.date, length: int, share: float) -> None:
        """A run that stops somewhere in its build."""
        self._extract(first, length)
        replay.build(self.settings, self.contracts, self.recording, stop_after=share)

    def _extract(self, first: dt.date, length: int) -> None:
        days = [day for day in DAYS if first <= day < first + dt.timedelta(days=length)]
        for contract in self.contracts.values():
            for partition in extract(self.settings, contract, days, accept_missing=True).values():
                assert_accounted(partition)

    def teardown(self) -> None:
        try:
            if self.deliveries:
                self._extract(FIRST, len(DAYS))
                replay.build(self.settings, self.contracts, self.recording)
                assert replay.unbalanced(self.settings) == []
                other = settings_in(self.folder / "other", first_day=FIRST)
                other.home.mkdir()
                other.raw_dir.symlink_to(self.settings.raw_dir)
                assert replay.build(other, self.contracts, self.recording, whole=True)
                assert replay.differences(self.settings, other) == {}
        finally:
            shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> replay.Recording:
    folder = tmp_path_factory.mktemp("recording")
    settings = settings_in(folder, first_day=FIRST)
    contracts = _contracts(folder, frozenset())
    (settings.landing_dir / f"channels_{FIRST}.csv").write_text(
        "channel_id,channel_name,channel_type,is_direct\na,A,store,true\n"
    )
    extract(settings, contracts["channels"], [FIRST])
    return replay.record(settings, contracts)


def test_any_sequence_of_runs_gives_the_mart_of_one_full_refresh(
    recording: replay.Recording, request: pytest.FixtureRequest
) -> None:
    AnyOrder.recording = recording
    thorough = hypothesis_settings.default.max_examples > 100
    run_state_machine_as_test(
        AnyOrder,
        settings=hypothesis_settings(
            max_examples=40 if thorough else 3,
            stateful_step_count=8 if thorough else 6,
            deadline=None,
            phases=[Phase.generate],
            print_blob=True,
        ),
    )
