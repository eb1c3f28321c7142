"""Where each landing file goes and what its header is; a test holds this against `contracts/`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """One landing file a day: path with `{date}`, delimiter and header; no header for other formats than CSV."""

    path: str
    header: tuple[str, ...]
    delimiter: str = ","
    required: bool = False

    def name(self, day: str) -> str:
        """Path of the file of an ISO day."""
        return self.path.format(date=day)

    def head(self) -> bytes:
        """The header line; nothing for formats that have none."""
        return (self.delimiter.join(self.header) + "\n").encode() if self.path.endswith(".csv") else b""


LAYOUTS: dict[str, Layout] = {
    "customers": Layout(
        "crm/customers_{date}.csv",
        (
            "CustomerNumber", "System", "Email", "Phone", "FirstName", "LastName", "Street", "PostalCode", "City",
            "Country", "BirthDate", "Gender", "LoyaltyMember", "MemberSince", "LoyaltyNumber",
            "AcquisitionChannel", "AcquisitionCampaign", "CreatedOn", "UpdatedAt",
        ),
        ";",
        required=True,
    ),
    "consents": Layout("crm/consents_{date}.csv", ("CustomerNumber", "Consent", "Granted", "RecordedAt"), ";"),
    "orders": Layout(
        "shop/orders_{date}.csv",
        (
            "order_no", "customer_no", "guest_email", "channel", "ordered_at", "currency", "status",
            "cancelled_at", "test_order", "campaign", "coupon",
        ),
        required=True,
    ),
    "order_lines": Layout(
        "shop/order_lines_{date}.csv",
        ("line_id", "order_no", "sku", "qty", "unit_price", "discount", "tax_rate"),
        required=True,
    ),
    "returns": Layout("shop/returns_{date}.csv", ("return_no", "line_id", "returned_at", "qty", "refund")),
    "web_events": Layout(
        "web/events_{date}.jsonl.gz",
        (
            "id", "visitor", "user.account", "ts", "type", "page", "referrer", "sku", "order_no", "utm.source",
            "utm.medium", "utm.campaign", "device", "agent",
        ),
    ),
    "campaigns": Layout(
        "marketing/campaigns_{date}.csv",
        (
            "campaign_id", "name", "medium", "objective", "starts", "ends", "control_group", "control_share",
            "conversions_reported", "coupon",
        ),
    ),
    "campaign_costs": Layout("marketing/costs_{date}.csv", ("campaign_id", "day", "cost", "currency")),
    "campaign_messages": Layout(
        "marketing/messages_{date}.parquet",
        ("message_id", "campaign_id", "customer_no", "sent_at", "is_control", "arm"),
    ),
    "campaign_reactions": Layout(
        "marketing/reactions_{date}.csv",
        ("reaction_id", "message_id", "type", "at", "order_no", "agent"),
    ),
    "products": Layout("erp/products_{date}.csv", ("SKU", "Name", "Category", "Brand", "UnitCost"), ";"),
    "channels": Layout("erp/channels_{date}.csv", ("Code", "Name", "Type", "Direct"), ";"),
    "exchange_rates": Layout("finance/exchange_rates_{date}.csv", ("currency", "rate_date", "rate")),
}  # fmt: skip
