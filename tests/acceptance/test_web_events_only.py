"""Retentioneering's shop: web events alone; its own session labels are hidden and found again."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.e2e.conftest import Retailer
from tests.support.real import Extracted, environment, records, shared

pytestmark = pytest.mark.acceptance
GROUPS = {
    "direct": "direct",
    "email": "email",
    "organic": "organic_search",
    "paid_search": "paid_search",
    "social": "organic_social",
}


def test_every_event_is_loaded_and_no_session_label_is_read(tmp_path: Path) -> None:
    shop = Extracted("web_events_only", tmp_path, shared("retentioneering_ecom"))
    assert shop.counts("web_events") == {"read": 31106, "loaded": 31106}
    assert "session_id" not in (shop.contracts["web_events"].file.read_text())


@pytest.mark.slow
def test_the_sessions_are_the_published_ones(tmp_path: Path) -> None:
    folder = shared("retentioneering_ecom")
    shop = Retailer(tmp_path, {**environment("web_events_only"), "FIDELIS_LANDING": str(folder)})
    shop.fidelis("run")
    _, *sessions = records(folder / "expected" / "sessions_computed.csv")
    found = shop.query("""
        select visitor_id, cast(started_at as varchar), cast(ended_at as varchar), events, purchases, device, channel_group
        from mart.fct_web_sessions where not is_bot order by all
    """)
    assert len(found) == 3605
    assert found == sorted(
        (visitor, start, end, int(events), int(purchases), device, GROUPS[channel])
        for _, visitor, start, end, events, purchases, device, channel in sessions
    )
    _, *channels = records(folder / "expected" / "channel_conversion_computed.csv")
    converting: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for *_, purchases, _, group in found:
        count, buying = converting[group]
        converting[group] = (count + 1, buying + (purchases > 0))
    assert converting == {GROUPS[channel]: (int(count), int(buying)) for channel, count, buying, _ in channels}
    assert shop.query(
        "select sum(sessions), sum(converting_sessions) from mart.kpi_monthly where channel_id is null"
    ) == [(3605, sum(int(buying) for _, _, buying, _ in channels))]
