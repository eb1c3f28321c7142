"""Drift: a delivery held against those of the same weekday in past weeks.

Rows, shares of empty values, shares of categories and medians of numbers come from the profile that was stored when a
delivery was loaded, so judging reads no row again. The references of a day are the accepted deliveries of the same
weekday in the weeks before it, as the raw zone holds them when the delivery is first loaded. A score is a deviation in units of
what is tolerated; above 1 it is drift. What is tolerated is the contract's tolerance or, where that is more, what chance
alone does to a delivery of that size, so that small tables raise no false alarm.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import median

from orchestration.contracts import Contract
from orchestration.profiling import measures
from orchestration.raw_zone import Partition
from orchestration.rules import DriftRule

#: Standard deviations taken for chance: a table has ten figures a day all year, and rows of one basket are alike.
_CHANCE = 6.0
#: Median absolute deviations of the references taken for their usual to and fro.
_SPREADS = 4.0
#: Shares and medians of fewer rows are not judged, and so many rows more or less are no change of volume.
_FEWEST_ROWS = 30
#: A category of every reference is gone, not rare, where at least so many rows of it were to be expected.
_EXPECTED_ROWS = 20
#: The score of what no tolerance covers.
_CERTAIN = 10.0

_Scored = Iterator[tuple[float, str]]


@dataclass(frozen=True)
class Verdict:
    """The worst figure of one rule on one day; ``sentence`` shows counts, shares and medians, and drift if ``score`` > 1."""

    rule: str
    score: float
    sentence: str
    blocking: bool

    @property
    def is_drift(self) -> bool:
        """Whether the figure is further from the usual than tolerated."""
        return self.score > 1


def applicable_rules(contract: Contract) -> list[DriftRule]:
    """The drift rules of a contract for which it has something to measure."""
    measured = {label for c in contract.columns if c.watched and c.captured for label in measures(c)}
    needs = {"volume": measured, "null_share": {"nulls"}, "category_share": {"categories"}, "median": {"median"}}
    return [rule for rule in contract.drift if measured & needs[rule.name]]


def hold(contract: Contract, partition: Partition, known: Mapping[date, Partition], *, accept: bool) -> Partition:
    """The freshly loaded ``partition``, refused where a rule of severity error finds drift that nobody accepted.

    A delivery whose rows are in the raw zone stays accepted for as long as its files are the same: a day loaded after it
    that would be its reference does not take back rows that were published. A refused one is judged anew each time.
    """
    found = [verdict for verdict in judge(contract, partition, known) if verdict.is_drift]
    reasons = [verdict.sentence for verdict in found if verdict.blocking]
    before = known.get(partition.day)
    again = before is not None and before.loaded and before.fingerprint == partition.fingerprint
    if found and (accept or (again and (reasons or known[partition.day].drift == "accepted"))):
        return replace(partition, drift="accepted")
    if not reasons:
        return partition
    return replace(
        partition,
        drift="refused",
        failure=f"{contract.table} of {partition.day} is not as on past {partition.day:%A}s: {'; '.join(reasons)} "
        "(if it is right, run the day with --accept-drift)",
        rows_loaded=0,
        rows_refused=partition.rows_loaded,
    )


def judge(contract: Contract, partition: Partition, known: Mapping[date, Partition]) -> list[Verdict]:
    """The verdicts on a delivery, one for each rule of the contract that has enough of a past to judge by.

    ``known`` holds at least the days before it. A day without a delivery, one that failed for another reason and one
    whose drift somebody accepted are not judged.
    """
    if partition.drift != "refused" and (
        not (partition.loaded and partition.fingerprint) or partition.drift == "accepted"
    ):
        return []
    verdicts = []
    for rule in applicable_rules(contract):
        weeks = (known.get(partition.day - timedelta(weeks=n)) for n in range(1, rule.weeks + 1))
        past = [p for p in (week and week.good for week in weeks) if p is not None and p.fingerprint]
        if len(past) < rule.minimum_weeks:
            continue
        worst = max(_SCORES[rule.name](contract, rule, partition, past), default=None)
        if worst is not None:
            verdicts.append(Verdict(rule.name, *worst, blocking=rule.severity == "error"))
    return verdicts


def _spread(values: Sequence[float], middle: float) -> float:
    """How far the references lie apart, unmoved by a few outliers."""
    return _SPREADS * median(abs(v - middle) for v in values)


def _volume(contract: Contract, rule: DriftRule, partition: Partition, past: Sequence[Partition]) -> _Scored:
    rows, before = partition.rows_own, [p.rows_own for p in past]
    usual = median(before)
    if usual == 0:
        return
    chance = max(_CHANCE * math.sqrt(usual), _spread(before, usual), _FEWEST_ROWS)
    lower, upper = usual - max(rule.tolerance * usual, chance), usual + max((rule.growth - 1) * usual, chance)
    score = (usual - rows) / (usual - lower) if rows < usual else (rows - usual) / (upper - usual)
    tolerated = f"{max(math.ceil(lower), 0):,} to {math.floor(upper):,}"
    yield score, f"{rows:,} rows; {usual:,.0f} are usual, {tolerated} are tolerated"


def _null_share(contract: Contract, rule: DriftRule, partition: Partition, past: Sequence[Partition]) -> _Scored:
    rows = _profiled(partition)
    for name in _watched(contract, partition):
        shares = [p.profile[name]["nulls"] / _profiled(p) for p in past if _profiled(p) and name in p.profile]
        if len(shares) < rule.minimum_weeks:
            continue
        share, usual = partition.profile[name]["nulls"] / rows, median(shares)
        tolerated = max(rule.tolerance, _CHANCE * _error(usual, rows), _spread(shares, usual))
        yield (share - usual) / tolerated, f"{name}: {share:.1%} are empty; {usual:.1%} is usual"


def _category_share(contract: Contract, rule: DriftRule, partition: Partition, past: Sequence[Partition]) -> _Scored:
    for name in _watched(contract, partition):
        now, rows = _shares(partition, name)
        before = [shares for shares, _ in (_shares(p, name) for p in past) if shares]
        if rows < _FEWEST_ROWS or len(before) < rule.minimum_weeks:
            continue
        # half of the sum of differences: the share of rows that moved to another category
        moved, chance, gone = 0.0, 0.0, []
        for category in sorted(set(now).union(*before)):
            shares = [s.get(category, 0.0) for s in before]
            usual = median(shares)
            moved += abs(now.get(category, 0.0) - usual) / 2
            chance += max(_CHANCE * _error(usual, rows), _spread(shares, usual)) / 2
            if category not in now and min(shares) * rows >= _EXPECTED_ROWS:
                gone.append(f"{category} ({usual:.1%})")
        yield moved / max(rule.tolerance, chance), f"{name}: {moved:.1%} of the rows moved from their usual values"
        if gone:
            yield _CERTAIN, f"{name}: no row has the usual {', '.join(gone)}"


def _median(contract: Contract, rule: DriftRule, partition: Partition, past: Sequence[Partition]) -> _Scored:
    for name in _watched(contract, partition):
        now = _median_of(partition, name)
        before = [m for m in (_median_of(p, name) for p in past) if m is not None]
        # a median that may be nought has no usual size
        if now is None or len(before) < rule.minimum_weeks or min(before) <= 0 <= max(before):
            continue
        usual = median(before)
        score = _CERTAIN
        if now / usual > 0:
            tolerated = max(math.log(rule.tolerance), _spread([math.log(m / usual) for m in before], 0))
            score = abs(math.log(now / usual)) / tolerated
        yield score, f"{name}: the median is {now:,.6g}; {usual:,.6g} is usual"


_SCORES = {"volume": _volume, "null_share": _null_share, "category_share": _category_share, "median": _median}


def _profiled(partition: Partition) -> int:
    """Rows that the profile was taken of."""
    return partition.rows_read - partition.rows_elsewhere


def _watched(contract: Contract, partition: Partition) -> list[str]:
    if _profiled(partition) < _FEWEST_ROWS:
        return []
    return [c.name for c in contract.columns if c.watched and c.name in partition.profile]


def _error(share: float, rows: int) -> float:
    """Standard error of a share among ``rows``; what was never seen may still come up."""
    likely = (share * rows + 1) / (rows + 2)
    return math.sqrt(likely * (1 - likely) / rows)


def _shares(partition: Partition, name: str) -> tuple[dict[str, float], int]:
    counted = partition.profile.get(name, {}).get("categories") or {}
    rows = sum(counted.values())
    return {category: count / rows for category, count in counted.items()}, rows


def _median_of(partition: Partition, name: str) -> float | None:
    figures = partition.profile.get(name, {})
    value = figures.get("median")
    if value is None or _profiled(partition) - figures["nulls"] < _FEWEST_ROWS:
        return None
    return float(value)
