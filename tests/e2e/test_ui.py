"""Dagster's UI in a real browser: the lineage, the charts, a backfill of ten days, a red check with the mart untouched."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import Retailer
from tests.e2e.service import Service, serving

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(retailer: Retailer) -> Retailer:
    retailer.fidelis("run", "--from", "2023-01-01", "--to", "2023-01-20")
    return retailer


@pytest.fixture(scope="module")
def service(published: Retailer) -> Iterator[Service]:
    with serving(published) as made:
        yield made


@pytest.fixture
def page(service: Service) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def backfill(page: Page, service: Service, days: str) -> dict[str, Any]:
    """Launch a backfill of ``days`` by hand, wait for its end, and return it with its runs."""
    page.goto(f"{service.url}/locations/fidelis/jobs/nightly/partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Show all partitions").click()
    box = page.locator("input[placeholder]").last
    box.fill(days)
    box.press("Enter")
    page.wait_for_timeout(1_000)
    page.get_by_role("button", name="Launch").last.click()
    question = (
        "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { id status numPartitions "
        "runs { id status } } } } }"
    )
    ended = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
    known = {b["id"] for b in service.ask(question)["partitionBackfillsOrError"]["results"] if b["status"] in ended}

    def newest(data: Any) -> Any:
        results = data["partitionBackfillsOrError"]["results"]
        return results[0] if results and results[0]["id"] not in known and results[0]["status"] in ended else None

    return service.wait_for(question, newest)


def test_the_lineage_reads_as_the_flow_from_landing_to_release(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/asset-groups")
    for group in ("landing", "raw", "staging", "mart_core", "mart_customer_value", "mart_indicators", "release"):
        page.get_by_text(group, exact=True).first.wait_for()
    picture = os.environ.get("FIDELIS_SCREENSHOT")
    if picture:
        page.wait_for_timeout(3_000)
        page.screenshot(path=picture)
    lineage = service.ask(
        '{ assetNodeOrError(assetKey: {path: ["mart", "fct_orders"]}) { ... on AssetNode { groupName dependencyKeys '
        "{ path } assetMaterializations(limit: 1) { metadataEntries { label ... on TableColumnLineageMetadataEntry "
        "{ lineage { columnName columnDeps { assetKey { path } columnName } } } } } } } }"
    )["assetNodeOrError"]
    entries = lineage["assetMaterializations"][0]["metadataEntries"]
    columns = {e["columnName"]: e["columnDeps"] for entry in entries for e in entry.get("lineage") or []}
    assert {"assetKey": {"path": ["mart", "fct_order_lines"]}, "columnName": "net_amount"} in columns["net_amount"]


@pytest.mark.parametrize("table", ["ltv_backtest", "customer_rfm", "pareto_monthly", "cohort_monthly"])
def test_the_chart_of_a_table_is_seen_in_its_metadata(page: Page, service: Service, table: str) -> None:
    page.goto(f"{service.url}/assets/mart/{table}?view=events")
    picture, behind = page.locator('img[src^="data:image/svg+xml"]'), page.get_by_text("[Show Markdown]")
    picture.or_(behind).first.wait_for()
    if behind.count():  # long text
        behind.first.click()
        picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") >= 500
    assert page.get_by_text("charts.html").count() > 0


def test_ten_days_backfilled_in_the_ui_are_one_run_and_change_nothing(
    page: Page, service: Service, published: Retailer
) -> None:
    before, release = published.content(), published.release_id()
    done = backfill(page, service, "[2023-01-05...2023-01-14]")
    assert (done["status"], done["numPartitions"], len(done["runs"])) == ("COMPLETED_SUCCESS", 10, 1)
    assert published.release_id() != release
    assert published.content() == before


def test_a_broken_file_turns_its_check_red_and_leaves_the_mart(
    page: Page, service: Service, published: Retailer
) -> None:
    release = published.release_id()
    orders = published.landing / "shop" / "orders_2023-01-21.csv"
    orders.write_bytes(orders.read_bytes().replace(b"order_no", b"number", 1))
    done = backfill(page, service, "[2023-01-20...2023-01-21]")
    assert done["status"] == "COMPLETED_FAILED"
    checks = service.ask(
        '{ assetNodeOrError(assetKey: {path: ["raw", "orders"]}) { ... on AssetNode { assetChecksOrError { ... on '
        "AssetChecks { checks { name executionForLatestMaterialization { status } } } } } } }"
    )["assetNodeOrError"]["assetChecksOrError"]["checks"]
    states = {c["name"]: c["executionForLatestMaterialization"]["status"] for c in checks}
    assert states.pop("delivered") == "FAILED"
    assert set(states.values()) == {"SUCCEEDED"}
    assert published.release_id() == release
