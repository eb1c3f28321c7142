"""The unique customer repository through the whole night: true persons, decisions that move figures and can be undone."""

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import sync_playwright

from tests.e2e.conftest import Retailer, copy_of
from tests.e2e.service import serving
from tests.e2e.test_ui import CHROMIUM, FLAGS

pytestmark = pytest.mark.slow

FIRST, LAST = "2023-01-01", "2023-02-09"
SUMS = (
    "select sum(net_amount), sum(margin_amount), count(*), count(*) filter (is_kept), "
    "count(customer_id) from mart.fct_orders"
)


@pytest.fixture(scope="module")
def published(retailer: Retailer) -> Retailer:
    retailer.fidelis("run", "--from", FIRST, "--to", LAST)
    return retailer


def restricted(retailer: Retailer, sql: str) -> list[tuple]:
    file = retailer.home / "releases" / "current" / "restricted" / "personal.duckdb"
    with duckdb.connect(str(file), read_only=True) as con:
        return con.execute(sql).fetchall()


def current(retailer: Retailer) -> dict[tuple[str, str], str]:
    rows = restricted(
        retailer,
        "select record_kind, source_id, customer_id from restricted.customer_identity "
        "where until_revision is null and valid_to = date '9999-12-31'",
    )
    return {(kind, source_id): customer for kind, source_id, customer in rows}


def accounts_of_one(retailer: Retailer, accounts: int) -> list[str]:
    """Account numbers of a customer with so many, who bought with each of them if there is such a one."""
    rows = restricted(
        retailer,
        "select customer_id, list(source_id order by source_id) from restricted.customer_identity where record_kind = 'account' "
        f"and until_revision is null and valid_to = date '9999-12-31' group by 1 having count(*) = {accounts} order by 1",
    )
    return rows[0][1]


def test_a_merge_joins_two_customers_and_its_undo_gives_every_table_back(published: Retailer, tmp_path: Path) -> None:
    other = copy_of(published, tmp_path / "home")
    other.fidelis("run", "--from", FIRST, "--to", LAST)
    before, sums, ids = other.content(), other.query(SUMS), current(other)
    elder, younger = (r for r in other.query(
        "select customer_id from mart.fct_orders where customer_id is not null group by 1 order by min(ordered_at), 1 limit 2"
    ))  # fmt: skip
    said = other.fidelis("identity", "merge", elder[0], younger[0], "--reason", "one household card", "--author", "ann")
    decision = re.search(r"D\d+", said.stdout)
    assert decision is not None
    other.fidelis("run")
    merged = current(other)
    assert len(set(merged.values())) == len(set(ids.values())) - 1
    assert set(merged.values()) < set(ids.values())
    assert other.query(SUMS) == sums
    assert other.content() != before
    explained = other.fidelis("identity", "explain", elder[0] if elder[0] in merged.values() else younger[0]).stdout
    assert "decided" in explained
    assert "one household card" in explained
    other.fidelis("identity", "undo", decision.group(), "--reason", "they are two", "--author", "bob")
    other.fidelis("run")
    assert other.content() == before
    assert current(other) == ids
    listed = other.fidelis("identity", "decisions").stdout
    assert "ann" in listed
    assert "bob" in listed


def test_a_split_moves_orders_and_value_and_leaves_the_sums(published: Retailer, tmp_path: Path) -> None:
    other = copy_of(published, tmp_path / "home")
    other.fidelis("run", "--from", FIRST, "--to", LAST)
    sums, ids = other.query(SUMS), current(other)
    value = "select sum(lifetime_net), sum(orders) from mart.customer_value"
    before_value = other.query(value)
    account = accounts_of_one(other, 2)[1]
    whole = ids["account", account]
    other.fidelis("identity", "split", f"account:{account}", "--reason", "a daughter", "--author", "ann")
    other.fidelis("run")
    after = current(other)
    moved = {record for record in ids if ids[record] != after.get(record)}
    assert moved
    assert all(ids[record] == whole for record in moved)
    parts = {after[record] for record, customer in ids.items() if customer == whole and record in after}
    assert len(parts) == 2
    assert whole in parts
    assert other.query(SUMS)[0][:4] == sums[0][:4]
    assert other.query(value)[0][0] == before_value[0][0]
    # the new customer outlives a build from nothing
    content = other.content()
    other.fidelis("run", "--full-refresh")
    assert other.content() == content
    assert current(other) == after


#: Folders of FIDELIS_HOME that hold what was delivered, by design and by their access rights; all else is for everybody.
_OF_PERSONS = {"landing", "raw", "quarantine", "identity", "warehouse", "scratch", "restricted"}


def secrets_of(landing: Path) -> set[bytes]:
    """What names a person in the deliveries, as written, in lower case, as digits, and as JSON writes it."""
    # the broken lines of the sample are left out: what they name is in the quarantine alone
    read = "read_csv(?, delim = '{}', quote = '\"', header = true, all_varchar = true, ignore_errors = true)"
    with duckdb.connect() as con:
        texts = con.execute(
            f"select distinct Email, FirstName || ' ' || LastName, LastName || ' ' || FirstName, Street, Phone, "
            f"nullif(right(regexp_replace(Phone, '[^0-9]', '', 'g'), 9), '') from {read.format(';')}",
            [str(landing / "crm" / "customers_*.csv")],
        ).fetchall()
        texts += con.execute(
            f"select distinct guest_email from {read.format(',')}", [str(landing / "shop" / "orders_*.csv")]
        ).fetchall()
    plain = {text.strip() for row in texts for text in row if text and len(text.strip()) >= 8}
    written = {form for text in plain for form in (text, text.lower(), json.dumps(text)[1:-1])}
    return {text.encode() for text in written}


def named_in(contents: Iterable[tuple[str, bytes]], secrets: set[bytes], scratch: Path) -> list[str]:
    """The places, never the secrets, where one of them is."""
    patterns = scratch / "secrets.txt"
    patterns.write_bytes(b"\n".join(sorted(secrets)))
    # grep looks for thousands of strings at once, the operator `in` for one
    grep = ["grep", "--quiet", "--text", "--fixed-strings", "--file", str(patterns)]
    environment = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
    codes = [
        (name, subprocess.run(grep, input=text, env=environment, check=False).returncode) for name, text in contents
    ]
    assert all(code in (0, 1) for _, code in codes)
    return sorted(name for name, code in codes if code == 0)


def test_the_release_of_the_marts_names_nobody(published: Retailer, tmp_path: Path) -> None:
    secrets = secrets_of(published.landing)
    assert len(secrets) > 1000
    with duckdb.connect(str(published.datamart), read_only=True) as con:
        tables = [t for (t,) in con.execute("select table_name from duckdb_tables()").fetchall()]
        rows = {
            table: "\n".join(str(r) for r in con.execute(f"select t::varchar from mart.{table} as t").fetchall())
            for table in tables
        }
    assert sum(map(len, rows.values())) > 100_000
    assert named_in(((table, text.encode()) for table, text in rows.items()), secrets, tmp_path) == []


def test_logs_documents_checks_and_the_ledger_name_nobody(published: Retailer, tmp_path: Path) -> None:
    secrets = secrets_of(published.landing)
    public = {
        str(file.relative_to(published.home)): file
        for file in published.home.rglob("*")
        if file.is_file() and not _OF_PERSONS & set(file.relative_to(published.home).parts)
    }
    # what is searched is there: run logs, dbt's logs and results, the ledger, the documents, Dagster's events
    for part in ("ledger.jsonl", "dbt.log", "run_results.json", "index.html", "index.db"):
        assert any(name.endswith(part) for name in public), part
    assert named_in(((name, file.read_bytes()) for name, file in public.items()), secrets, tmp_path) == []
    # the metadata of the checks, read as Dagster reads it: in the files, values may be torn between pages
    events = []
    for file in (f for name, f in public.items() if name.endswith(".db")):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as con:
            for (table,) in con.execute("select name from sqlite_master where type = 'table'").fetchall():
                rows = [str(row) for row in con.execute(f'select * from "{table}"')]
                events.append((f"{file.name} {table}", "\n".join(rows).encode()))
    assert any(b"ASSET_CHECK_EVALUATION" in text for _, text in events)
    assert named_in(events, secrets, tmp_path) == []


_ENTRIES = (
    "metadataEntries { label description ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr } "
    "... on JsonMetadataEntry { jsonString } ... on PathMetadataEntry { path } ... on TableMetadataEntry { table { records } } }"
)
_ASSETS = (
    "{ assetNodes { assetKey { path } description assetMaterializations(limit: 50) { " + _ENTRIES + " } "
    "assetChecksOrError { ... on AssetChecks { checks { name description executionForLatestMaterialization { "
    "evaluation { description " + _ENTRIES + " } } } } } } }"
)
_PAGES = (
    ("assets/identity/identities?view=events", "customers_by_number_of_accounts"),
    ("assets/identity/identities?view=checks", "largest_cluster"),
    ("assets/raw/customers?view=events", "customers"),
    ("assets/raw/customers?view=checks", "delivered"),
    ("assets/raw/orders?view=checks", "delivered"),
    ("assets/restricted/customer_contact?view=events", "customer_contact"),
    ("assets/release/datamart?view=events", "share_of_sales_identified_by_channel"),
)


def test_what_the_ui_shows_names_nobody(published: Retailer, tmp_path: Path) -> None:
    shown = {}
    with serving(published) as service, sync_playwright() as playwright:
        shown["metadata of assets and checks"] = json.dumps(service.ask(_ASSETS), ensure_ascii=False)
        (run,) = service.ask("{ runsOrError(limit: 1) { ... on Runs { results { id } } } }")["runsOrError"]["results"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 4000})
        page.set_default_timeout(60_000)
        for address, text in (*_PAGES, (f"runs/{run['id']}", "RUN_SUCCESS")):
            page.goto(f"{service.url}/{address}")
            page.get_by_text(text).first.wait_for()
            shown[address] = page.content()
        browser.close()
    assert "days_of_run" in shown["metadata of assets and checks"]
    assert (
        named_in(((name, text.encode()) for name, text in shown.items()), secrets_of(published.landing), tmp_path) == []
    )


def test_what_the_commands_print_names_nobody(published: Retailer, tmp_path: Path) -> None:
    secrets = secrets_of(published.landing)
    account = accounts_of_one(published, 2)[0]
    printed = {
        " ".join(arguments): (done := published.fidelis(*arguments, expect=None)).stdout + done.stderr
        for arguments in (
            ("run", "--from", LAST, "--to", LAST), ("status",), ("runs",), ("quarantine", "list"),
            ("identity", "review", "--out", str(tmp_path / "pairs.csv")), ("identity", "explain", f"account:{account}"),
            ("identity", "decisions"),
        )
    }  # fmt: skip
    assert all(len(text) > 20 for text in printed.values()), printed.keys()
    assert named_in(((name, text.encode()) for name, text in printed.items()), secrets, tmp_path) == []
    # the pairs to be reviewed have to name people: the file is for its owner alone
    assert named_in([("pairs", (tmp_path / "pairs.csv").read_bytes())], secrets, tmp_path) == ["pairs"]
    assert (tmp_path / "pairs.csv").stat().st_mode & 0o077 == 0
