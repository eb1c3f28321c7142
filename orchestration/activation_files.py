"""Where exported audiences lie, and what was planned with them: what the build reads of the nights before.

``activation/<audience>/current`` links to the last export that was delivered whole, replaced by one rename; ``planned.parquet`` in it
is all that was ever planned for the audience.
"""

from pathlib import Path

from orchestration.rules import no_rows, quote_text
from orchestration.settings import Settings

CURRENT = "current"
PLANNED = "planned.parquet"

#: One row per account and time it was in an audience (``treated``) or would have been but was held back (``control``, ``holdout``).
PLAN = {
    "audience": "varchar",
    "campaign_id": "varchar",
    "medium": "varchar",
    "account_id": "varchar",
    "planned_group": "varchar",
    "planned_on": "date",
    "withdrawn_on": "date",
}


def planned_files(settings: Settings) -> list[Path]:
    """The plan of each audience that was ever exported."""
    return sorted(settings.activation_dir.glob(f"*/{CURRENT}/{PLANNED}"))


def relation(settings: Settings) -> str:
    """SQL of all plans, without a row before the first export."""
    files = planned_files(settings)
    if not files:
        return no_rows(PLAN)
    return f"select {', '.join(PLAN)} from read_parquet([{', '.join(quote_text(file) for file in files)}])"
