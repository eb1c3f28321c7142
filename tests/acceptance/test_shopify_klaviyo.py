"""Exports of Shopify and Klaviyo: byte-order marks, blanks after times, refunds whose order is absent, two currencies."""

import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import Retailer
from tests.support.real import Extracted, environment, shared
from tests.support.world import quarantined

pytestmark = pytest.mark.acceptance


def test_byte_order_marks_and_blanks_after_times_lose_no_row(tmp_path: Path) -> None:
    folder = shared("fivetran_shopify_klaviyo")
    shop = Extracted("shopify_klaviyo", tmp_path, folder)
    marked = {
        table
        for table, contract in shop.contracts.items()
        if (file := folder / contract.path).exists() and file.read_bytes().startswith(b"\xef\xbb\xbf")
    }
    assert {"orders", "order_lines", "returns", "customers", "products", "campaigns"} <= marked
    loaded = {"orders": 8, "order_lines": 3, "returns": 5, "customers": 4, "consents": 4, "products": 8, "campaigns": 2}
    assert {table: shop.counts(table) for table in loaded} == {
        table: {"read": rows, "loaded": rows} for table, rows in loaded.items()
    }
    assert shop.query("customers", "select updated_at from accepted where customer_id = '3588998496353'") == [
        (datetime(2020, 9, 11, 13, 26, 15),)
    ]
    assert shop.query("consents", "select count(*) filter (where is_granted) from accepted") == [(1,)]


def test_an_email_of_no_campaign_is_in_quarantine_with_its_line(tmp_path: Path) -> None:
    shop = Extracted("shopify_klaviyo", tmp_path, shared("fivetran_shopify_klaviyo"))
    assert shop.counts("campaign_messages") == {"read": 4, "loaded": 2, "quarantined": 1, "elsewhere": 1}
    assert shop.counts("campaign_reactions") == {"read": 4, "elsewhere": 4}
    found = quarantined(shop.settings, shop.contracts["campaign_messages"], "file, line, rules")
    assert found == [("klaviyo_event.csv", 4, "campaign_id_required")]


def test_a_discount_on_an_order_is_shared_among_its_lines_to_the_cent(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared("fivetran_shopify_klaviyo"), tmp_path / "landing"))
    (folder / "shopify_order_line_data.csv").write_text(
        "order_id,id,product_id,price,quantity\n" + "".join(f"2674098602081,{n},P,1.00,1\n" for n in (1, 2, 3))
    )
    orders = folder / "shopify_order_data.csv"
    text = orders.read_text(encoding="utf-8-sig")
    orders.write_text(text.replace(",2.8,5.6,", ",1.00,3.00,", 1), encoding="utf-8-sig")
    shop = Extracted("shopify_klaviyo", tmp_path, folder)
    shares = shop.query("order_lines", "select discount_amount from accepted order by order_line_id")
    assert shares == [(Decimal("0.33"),), (Decimal("0.34"),), (Decimal("0.33"),)]


@pytest.mark.slow
def test_two_currencies_need_a_rate_and_refunds_wait_for_their_lines(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared("fivetran_shopify_klaviyo"), tmp_path / "landing"))
    shop = Retailer(tmp_path / "home", {**environment("shopify_klaviyo"), "FIDELIS_LANDING": str(folder)})
    refused = shop.fidelis("run", expect=1)
    assert "not_null_int_exchange_rates_applied_fx_rate" in refused.stderr
    assert not shop.datamart.exists()
    (folder / "exchange_rates.csv").write_text("currency,date,rate\nUSD,2025-01-01,0.80\n")
    shop.fidelis("run")
    orders = shop.query(
        "select order_id, gross_amount, discount_amount, net_amount, coupon_code from mart.fct_orders where is_kept order by 1"
    )
    assert orders == [
        ("2669509541985", Decimal("4.40"), Decimal("0.00"), Decimal("4.40"), "GIFTCARD"),
        ("2669516488801", Decimal("2.80"), Decimal("0.00"), Decimal("2.80"), "SHIPPING2022"),
        ("2674098602081", Decimal("5.60"), Decimal("2.80"), Decimal("2.80"), "GIFTCARD"),
    ]
    # five orders in dollars were delivered without a line
    assert shop.query("select count(*), sum(line_count) from mart.fct_orders where not is_kept") == [(5, 0)]
    waiting = "select measure, excluded_value from mart.audit_exclusions where reason = 'order_line_not_delivered'"
    found = dict(shop.query(waiting))
    assert (found["rows"], found["returned_amount"]) == (5, Decimal("2075.00"))
    assert shop.query("select count(*) from mart.fct_returns") == [(0,)]
    assert shop.query("select count(*) from mart.fct_campaign_messages") == [(2,)]
