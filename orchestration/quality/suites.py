"""From a contract to its checks: what the gate asks of each delivery, and what stops the pipeline.

The rules of rows were evaluated while the delivery was read; the suite validates the counts. A broken rule
is a warning, because its rows are in quarantine and the rest is sound; a delivery that is missing,
unreadable, unaccounted for or bad beyond the declared share stops everything after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from orchestration import drift
from orchestration.contracts import Contract
from orchestration.quality.custom import NATIVE_CHECKS, NativeCheck
from orchestration.raw_zone import Partition
from orchestration.rules import CONFLICT, MALFORMED, DriftRule

_READER_RULES = {
    MALFORMED: "every record splits into the fields of its header",
    CONFLICT: "rows of one delivery with the same key are equal",
}


@dataclass(frozen=True)
class CheckSpec:
    """One check of a table; ``column`` is the column of the profile frame whose sum must be 0, a score's maximum 1."""

    name: str
    description: str
    blocking: bool
    column: str
    is_score: bool = False


def check_specs(contract: Contract) -> list[CheckSpec]:
    """The checks of a table that are derived from its contract, and those a user added for it."""
    specs = [
        CheckSpec("delivered", f"{contract.table} was delivered and could be read", True, "undelivered"),
        CheckSpec(
            "rows_accounted",
            "rows read = loaded + quarantined + duplicates + left to other tables + refused",
            True,
            "unaccounted",
        ),
        CheckSpec(
            "rows_stored", "the raw zone's files hold the rows that its index says were loaded", True, "misstored"
        ),
        CheckSpec("bad_rows_tolerated", _tolerance(contract), True, "intolerable"),
    ]
    specs += [
        CheckSpec(rule.name, rule.sentence, False, rule.name)
        for rule in contract.rules
        if not _trivial(contract, rule.name)
    ]
    specs += [
        CheckSpec("columns_captured", "each column delivered is named by the contract", False, "uncaptured"),
        CheckSpec("contract_applied", "each day was loaded by the contract as it is now", False, "stale"),
    ]
    specs += [CheckSpec(name, sentence, False, name) for name, sentence in _READER_RULES.items()]
    specs += [
        CheckSpec(f"usual_{r.name}", _drift_sentence(r), r.severity == "error", f"usual_{r.name}", is_score=True)
        for r in drift.applicable_rules(contract)
    ]
    specs += [CheckSpec(c.name, c.description, c.blocking, c.name) for c in native_checks(contract)]
    return specs


def native_checks(contract: Contract) -> list[NativeCheck]:
    """The checks that a user added for the table, those whose columns this retailer delivers."""
    captured = {c.name for c in contract.columns if c.captured}
    return [c for c in NATIVE_CHECKS if c.table == contract.table and set(c.columns) <= captured]


def _tolerance(contract: Contract) -> str:
    return f"at most {contract.tolerated_share:.1%} of the rows, or {contract.tolerated_rows} rows, are bad"


_DRIFT = {
    "volume": "rows fall short by at most {0:.0%}, or exceed at most {1:g} times,",
    "null_share": "the share of empty values of each column rises by at most {0:.0%} over",
    "category_share": "at most {0:.0%} of the rows are of other categories than",
    "median": "the median of each number is at most {0:g} times more or less than",
}


def _drift_sentence(rule: DriftRule) -> str:
    return f"{_DRIFT[rule.name].format(rule.tolerance, rule.growth)} what is usual on this weekday ({rule.weeks} weeks)"


def _trivial(contract: Contract, rule: str) -> bool:
    """A text is always a text: its type rule cannot be broken by a text file."""
    return contract.format != "parquet" and any(
        rule == f"{c.name}_type" and c.logical_type == "string" for c in contract.columns
    )


def profile_rows(
    contract: Contract,
    partitions: Sequence[Partition],
    misstored: Mapping[date, int],
    verdicts: Mapping[date, Sequence[drift.Verdict]],
    stale: Sequence[date],
) -> list[dict[str, Any]]:
    """One row per delivery day, one column per check of the contract.

    By day, ``misstored`` is by how many rows the files differ from the index, and ``verdicts`` are those on drift; the
    score of what was not judged is 0. ``stale`` days are counted, whether they are of the window or not.
    """
    rows: list[dict[str, Any]] = []
    for p in partitions:
        row: dict[str, Any] = {
            "day": p.day.isoformat(),
            "undelivered": int(p.failure is not None and p.rows_read == 0),
            "reason": p.failure,
            "unaccounted": p.rows_unaccounted,
            "misstored": misstored[p.day],
            "uncaptured": len(p.uncaptured),
            "stale": 0,
            **{f"usual_{r.name}": 0.0 for r in contract.drift},
            **{f"usual_{v.rule}": v.score for v in verdicts[p.day]},
            "intolerable": 0 if contract.tolerates(p.rows_read, p.rows_quarantined) else p.rows_quarantined,
        }
        names = [*(rule.name for rule in contract.rules), *_READER_RULES]
        rows.append(row | {name: p.violations.get(name, 0) for name in names})
    rows[-1]["stale"] = len(stale)
    return rows
