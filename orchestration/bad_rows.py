"""What lies in quarantine: rows and broken rules by table and day, their trend, and the rows themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from orchestration import raw_zone
from orchestration.contracts import Contract
from orchestration.raw_zone import Partition
from orchestration.rules import quote_text
from orchestration.settings import Settings
from orchestration.warehouse import connect_scratch

#: Delivered days of the trend: the latest ones, and those before them.
LATEST, BEFORE = 7, 28

_PERSONAL = ("personal", "direct_identifier")


@dataclass(frozen=True)
class BadRow:
    """One row in quarantine. ``line`` is None where it cannot be known; ``raw_text`` holds personal data."""

    rules: str
    key: str | None
    file: str
    line: int | None
    raw_text: str


@dataclass(frozen=True)
class Trend:
    """Rows quarantined of rows read, and broken rules, in the latest delivered days and in those before them.

    ``rules`` gives for each rule its count in the latest days, and in as many of the days before, on average.
    """

    latest_share: float | None
    before_share: float | None
    rules: Mapping[str, tuple[int, float]]


def days_held(settings: Settings, contract: Contract) -> list[Partition]:
    """The days with rows in quarantine or a refused delivery, the newest first."""
    known = raw_zone.partitions(settings, contract.table).values()
    return [p for p in reversed(known) if p.rows_quarantined or not p.loaded]


def broken_rules(contract: Contract, partitions: Iterable[Partition]) -> dict[str, int]:
    """Rows by the rule that sent them to quarantine, the most frequent first. A row may break several."""
    warnings = {rule.name for rule in contract.rules if rule.severity != "error"}
    counts: Counter[str] = Counter()
    for partition in partitions:
        counts.update({name: n for name, n in partition.violations.items() if n and name not in warnings})
    return dict(counts.most_common())


def rows(settings: Settings, contract: Contract, day: date) -> list[BadRow]:
    """The rows of a day in quarantine, in the order of the file."""
    partition = raw_zone.partitions(settings, contract.table).get(day)
    if partition is None or not partition.quarantine:
        return []
    folder = settings.quarantine_dir / contract.table
    files = ", ".join(quote_text(folder / name) for name in partition.quarantine)
    with connect_scratch(settings, raw_zone.scratch_dir(settings)) as con:
        found = con.execute(
            f"select rules, key, file, line, raw_text from read_parquet([{files}]) order by file, line, key, rules"
        ).fetchall()
    return [BadRow(*values) for values in found]


def key_is_personal(contract: Contract) -> bool:
    """Whether the key of a table's rows is personal data itself."""
    return any(c.classification in _PERSONAL for c in contract.columns if c.name in contract.key)


def trend(contract: Contract, known: Iterable[Partition]) -> Trend:
    """The latest delivered days against those before them; days without a delivery do not count."""
    delivered = [p for p in known if p.rows_read]
    latest, before = delivered[-LATEST:], delivered[-LATEST - BEFORE : -LATEST]
    now, then = broken_rules(contract, latest), broken_rules(contract, before)
    scale = len(latest) / len(before) if before else 0.0
    names = sorted({*now, *then}, key=lambda name: (-now.get(name, 0), -then.get(name, 0), name))
    rules = {name: (now.get(name, 0), round(then.get(name, 0) * scale, 1)) for name in names}
    return Trend(_share(latest), _share(before), rules)


def _share(partitions: list[Partition]) -> float | None:
    read = sum(p.rows_read for p in partitions)
    return sum(p.rows_quarantined for p in partitions) / read if read else None
