"""Control groups for the next campaign, drawn from the current release and kept as files."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb

from orchestration.incrementality.arms import InputError
from orchestration.incrementality.assignment import Assigned, assign
from orchestration.raw_zone import write_durably
from orchestration.settings import Settings

_HEADER = ("campaign_id", "customer_id", "segment", "group")
#: What a condition may name: the current customers with their segment, their value and what is expected of them.
CUSTOMERS = (
    "(select * from mart.dim_customer where is_current) "
    "left join (select customer_id, segment, recency_days, frequency, monetary from mart.customer_rfm) using (customer_id) "
    "left join (select * exclude (as_of_date) from mart.customer_value) using (customer_id) "
    "cross join (select max(as_of_date) as as_of_date from mart.customer_value) "
    "left join (select customer_id, p_alive, expected_orders_12m, predicted_value_12m, expected_next_order_date, churn_risk, value_tier "
    "from mart.customer_ltv) using (customer_id)"
)


@dataclass(frozen=True)
class Drawn:
    """A campaign's assignment: its file, whether it was there before, and customers by segment and group."""

    file: Path
    is_new: bool
    counts: Counter[tuple[str, str]]


def draw(
    settings: Settings, con: duckdb.DuckDBPyConnection, campaign_id: str, control_share: float, where: str = "true"
) -> Drawn:
    """Assign the customers of a release (``con``) that meet a condition, and keep the assignment.

    An assignment that is kept already is never changed: the same draw finds it as it is, another one raises InputError. So do a
    condition that the release cannot answer and an audience without a customer.
    """
    try:
        rows = con.execute(
            f"select customer_id, coalesce(segment, 'no order') from {CUSTOMERS} where {where}\n"
        ).fetchall()
    except duckdb.Error as error:
        raise InputError(f"The condition '{where}' cannot be answered: {error}") from error
    if not rows:
        raise InputError(f"No customer meets the condition '{where}'.")
    assigned = assign(dict(rows), campaign_id, control_share, settings.control_salt, settings.holdout_share)
    file = settings.assignments_dir / f"{quote(campaign_id, safe=' ')}.csv"
    content = _text(campaign_id, assigned)
    is_new = not file.exists()
    if is_new:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_durably(file, content)
    elif file.read_text() != content:
        raise InputError(
            f"{file} holds another draw for campaign {campaign_id} (other audience, share or salt). A draw that was used must not change; "
            "remove the file if it was not."
        )
    return Drawn(file, is_new, Counter((a.segment, a.group) for a in assigned))


def _text(campaign_id: str, assigned: list[Assigned]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((campaign_id, a.customer_id, a.segment, a.group) for a in assigned)
    return stream.getvalue()
