"""The same retailer, delivered as files, through S3, over HTTP and in PostgreSQL, gives the same mart."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.contracts import Contract, default_contracts
from orchestration.sources.files import discover
from tests.e2e.conftest import PROJECT, Retailer, copy_of
from tests.support.servers import http_site, postgresql, postgresql_server, s3_storage
from tests.support.world import properties

FIRST, LAST = "2023-01-01", "2023-01-10"
SQL_TYPES = {"number": "numeric", "integer": "bigint", "date": "date", "timestamp": "timestamp", "boolean": "boolean"}


@pytest.fixture(scope="module")
def from_files(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    home = tmp_path_factory.mktemp("files")
    made = Retailer(home, {})
    made.fidelis(
        "sample", "--customers", "150", "--start", FIRST, "--end", LAST, "--seed", "3", "--out", str(home / "landing")
    )
    made.fidelis("run", "--from", FIRST, "--to", LAST)
    return made


def moved(retailer: Retailer, folder: Path, change: Any, **settings: str) -> Retailer:
    """The same retailer with contracts whose server ``change`` has rewritten; what it does not return stays a file."""
    contracts = folder / "contracts"
    contracts.mkdir()
    for file in (PROJECT / "contracts").glob("*.yaml"):
        document = yaml.safe_load(file.read_text())
        change(document)
        (contracts / file.name).write_text(yaml.safe_dump(document, sort_keys=False))
    other = copy_of(retailer, folder / "home")
    return Retailer(other.home, {**other.settings, "FIDELIS_CONTRACTS": str(contracts), **settings})


def delivered(retailer: Retailer) -> Iterator[tuple[Contract, Any]]:
    for contract in default_contracts().values():
        for files in discover(contract, retailer.landing).values():
            for file in files:
                yield contract, file


def assert_same_mart(one: Retailer, other: Retailer) -> None:
    other.fidelis("run", "--from", FIRST, "--to", LAST)
    assert one.query("select count(*) > 50, sum(net_amount) > 1000 from mart.fct_orders") == [(True, True)]
    assert other.content() == one.content()


@pytest.mark.slow
def test_s3_gives_the_mart_of_the_files(from_files: Retailer, tmp_path: Path) -> None:
    with s3_storage("retailer") as (url, client):
        for _, file in delivered(from_files):
            client.upload_file(str(file.path), "retailer", f"in/{file.name}")

        def change(document: dict[str, Any]) -> None:
            server = document["servers"][0]
            server |= {"type": "s3", "location": f"s3://retailer/in/{server.pop('path')}"}

        access = {"FIDELIS_S3_KEY_ID": "reader", "FIDELIS_S3_SECRET": "x", "FIDELIS_S3_ENDPOINT": url}
        nowhere = {"FIDELIS_LANDING": str(tmp_path / "nothing")}
        assert_same_mart(from_files, moved(from_files, tmp_path, change, **access, **nowhere))


@pytest.mark.slow
def test_http_gives_the_mart_of_the_files(from_files: Retailer, tmp_path: Path) -> None:
    with http_site() as site:
        site.files = {f"/{file.name}": file.path.read_bytes() for _, file in delivered(from_files)}
        site.busy = 2

        def change(document: dict[str, Any]) -> None:
            server = document["servers"][0]
            server |= {"type": "http", "location": f"{site.url}/{server.pop('path')}"}

        nowhere = {"FIDELIS_LANDING": str(tmp_path / "nothing")}
        assert_same_mart(from_files, moved(from_files, tmp_path, change, **nowhere))


@pytest.mark.slow
def test_postgresql_gives_the_mart_of_the_files(
    from_files: Retailer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every table that is delivered as rows new or changed; the full ones of each day stay files."""
    folder = tmp_path_factory.mktemp("postgresql")
    with postgresql(folder) as database:
        tables = {c.table for c, _ in delivered(from_files) if c.mode != "full" and c.format == "csv"}
        assert {"orders", "order_lines", "customers", "consents"} <= tables
        for table in tables:
            database.psql(f"create table {table} ({typed_columns(default_contracts()[table])}, updated_at timestamptz)")
        for contract, file in delivered(from_files):
            if contract.table in tables:
                database.psql(copied(contract, file.path, str(file.day)))

        def change(document: dict[str, Any]) -> None:
            schema, server = document["schema"][0], document["servers"][0]
            if schema["name"] in tables:
                document["servers"] = [postgresql_server(folder) | {"customProperties": server["customProperties"]}]
                schema["customProperties"] += properties(watermark="updated_at")

        access = {"FIDELIS_PG_USER": "reader", "FIDELIS_PG_PASSWORD": "geheim"}
        assert_same_mart(from_files, moved(from_files, tmp_path, change, **access))


def typed_columns(contract: Contract) -> str:
    """Each header with the type a database would give it."""
    types = {
        c.header: "text" if c.format else SQL_TYPES.get(c.logical_type, "text") for c in contract.columns if c.header
    }
    return ", ".join(f'"{name}" {kind}' for name, kind in types.items())


def copied(contract: Contract, path: Path, day: str) -> str:
    """psql's input that copies a delivered file, its rows last changed at noon of its day."""
    with path.open(encoding=contract.encoding, newline="") as stream:
        header = next(csv.reader(stream, delimiter=contract.delimiter))
        content = stream.read()
    names = ", ".join(f'"{name}"' for name in header)
    return (
        f"alter table {contract.table} alter updated_at set default '{day} 12:00 Europe/Paris';\n"
        f"copy {contract.table} ({names}) from stdin (format csv, delimiter '{contract.delimiter}');\n{content}\\.\n"
    )
