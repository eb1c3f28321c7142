"""People delivered: accounts, guest orders and web events of a small shop, and the customers that the registry makes of them."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb

from orchestration import identity, identity_files
from orchestration.contracts import default_contracts
from orchestration.extraction import extract
from orchestration.settings import Settings

CONTRACTS = {t: c for t, c in default_contracts().items() if t in ("customers", "orders", "web_events")}
DAYS = [date(2024, 1, day) for day in (1, 2, 3)]
CUSTOMER = [c.header for c in CONTRACTS["customers"].columns if c.header]
ORDER = [c.header for c in CONTRACTS["orders"].columns]


def person(number: str, **values: str) -> dict[str, str]:
    row = {
        "CustomerNumber": number,
        "System": "crm",
        "Country": "FR",
        "CreatedOn": "2023-12-01",
        "UpdatedAt": "2023-12-01 10:00:00",
    }
    return row | values


def guest(number: str, email: str) -> dict[str, str]:
    return {
        "order_no": number, "guest_email": email, "channel": "WEB", "ordered_at": "2024-01-01 10:00:00", "currency": "EUR",
        "status": "placed", "test_order": "false",
    }  # fmt: skip


def event(number: str, visitor: str, account: str | None, agent: str | None = None) -> dict[str, Any]:
    return {
        "id": number,
        "visitor": visitor,
        "user": {"account": account},
        "ts": "2024-01-01T10:00:00",
        "type": "page_view",
        "agent": agent,
    }


def deliver(
    home: Settings,
    day: date,
    people: Sequence[Mapping[str, str]] = (),
    guests: Sequence[Mapping[str, str]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    only: str | None = None,
) -> None:
    for name, header, rows, sign in (
        (f"crm/customers_{day}.csv", CUSTOMER, people, ";"),
        (f"shop/orders_{day}.csv", ORDER, guests, ","),
    ):
        file = home.landing_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "w", newline="") as stream:
            writer = csv.DictWriter(stream, header, delimiter=sign)
            writer.writeheader()
            writer.writerows(rows)
    file = home.landing_dir / f"web/events_{day}.jsonl.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("".join(json.dumps(e) + "\n" for e in events).encode()))
    for contract in (c for table, c in CONTRACTS.items() if only in (None, table)):
        partition = extract(home, contract, [day])[day]
        assert partition.failure is None
        assert partition.rows_quarantined == 0


def ids(home: Settings) -> dict[str, str]:
    with duckdb.connect() as con:
        rows = con.execute(
            f"select source_id, customer_id from ({identity_files.relation(home, 'identities')})"
        ).fetchall()
    return dict(rows)


def build(home: Settings, day: date = DAYS[0], **options: bool) -> dict[str, str]:
    identity.build(home, CONTRACTS, day, **options)
    return ids(home)
