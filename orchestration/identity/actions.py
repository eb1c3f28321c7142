"""What a person asks of the repository: why records are together, and that they be joined, separated or left alone.

Records are named by customer_id (``K…``), by their own id, or by kind and id (``guest_order:O1001``). Decisions take
effect with the next run; each is written down with author and reason and can be undone.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration import identity_files
from orchestration.identity import decisions, evidence
from orchestration.identity.decisions import Decision, DecisionError, Record
from orchestration.settings import Settings


@dataclass(frozen=True)
class Member:
    """One source record of a customer, and what ties it to the others."""

    record: Record
    source_system: str
    customer_id: str
    first_seen: str
    rule: str
    match_weight: float | None


@dataclass(frozen=True)
class Tie:
    """What joined two records; ``is_used`` is false where another reason kept them apart."""

    left: Record
    right: Record
    rule: str
    match_weight: float | None
    is_used: bool


@dataclass(frozen=True)
class Explanation:
    """A customer's records, the ties among them and to records of others, and decisions about them."""

    members: tuple[Member, ...]
    ties: tuple[Tie, ...]
    decisions: tuple[Decision, ...]


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for table in identity_files.TABLES:
        con.execute(f"create view {table} as {identity_files.relation(settings, table)}")
    return con


def _members(con: duckdb.DuckDBPyConnection, name: str) -> list[Member]:
    """The records of one customer, the eldest first. Raises DecisionError where the name is unknown or not one customer's."""
    kind, _, source_id = name.partition(":") if name.partition(":")[0] in _KINDS else ("", "", name)
    ids = con.execute(
        "select distinct customer_id from identities where customer_id = $name or (source_id = $id and record_kind like $kind)",
        {"name": name, "id": source_id, "kind": kind or "%"},
    ).fetchall()
    if not ids:
        raise DecisionError(f"no customer and no source record is called {name}")
    if len(ids) > 1:
        raise DecisionError(f"{name} names records of several customers; write it as kind:id ({', '.join(_KINDS)})")
    rows = con.execute(
        "select record_kind, source_id, source_system, customer_id, first_seen, rule, match_weight from identities "
        "where customer_id = ? order by first_seen, record_kind, source_id",
        [ids[0][0]],
    ).fetchall()
    return [Member((r[0], r[1]), r[2] or "not delivered", r[3], str(r[4]), r[5], r[6]) for r in rows]


_KINDS = (evidence.ACCOUNT, evidence.GUEST, evidence.VISITOR)


def explain(settings: Settings, name: str) -> Explanation:
    """Why the records of a customer are together. Raises DecisionError for an unknown name."""
    with _connect(settings) as con:
        members = _members(con, name)
        con.execute("create table member (kind varchar, id varchar)")
        con.executemany("insert into member values (?, ?)", [list(m.record) for m in members])
        rows = con.execute(
            "select distinct record_kind, source_id, other_kind, other_id, rule, match_weight, is_used, rank from edges "
            "where exists (select 1 from member where (kind, id) in ((record_kind, source_id), (other_kind, other_id))) "
            "order by is_used desc, rank, 1, 2, 3, 4, 5"
        ).fetchall()
    own = {m.record for m in members}
    named = tuple(d for d in decisions.read_decisions(settings) if own & {r for part in d.parts for r in part})
    return Explanation(tuple(members), tuple(Tie((r[0], r[1]), (r[2], r[3]), r[4], r[5], r[6]) for r in rows), named)


def merge(settings: Settings, names: Sequence[str], author: str, reason: str) -> Decision:
    """All records of the customers named are one person; the older customer_id survives."""
    with _connect(settings) as con:
        customers = {members[0].customer_id: members for members in (_members(con, name) for name in names)}
    if len(customers) < 2:
        raise DecisionError("name two customers or more; these records are one customer already")
    records = [m.record for members in customers.values() for m in members]
    return decisions.append(settings, "merge", author, reason, parts=[records])


def split(settings: Settings, names: Sequence[str], author: str, reason: str) -> Decision:
    """The records named, all of one customer, are another person than the customer's other records.

    The larger part keeps the customer_id (of two equal ones the elder), the smaller gets a new one.
    """
    with _connect(settings) as con:
        members = _members(con, names[0])
    records = {m.record for m in members}
    chosen: set[Record] = set()
    for name in names:
        kind, _, source_id = name.partition(":") if name.partition(":")[0] in _KINDS else ("", "", name)
        found = {r for r in records if r[1] == source_id and kind in ("", r[0])}
        if not found:
            raise DecisionError(f"{name} is no source record of customer {members[0].customer_id}")
        chosen |= found
    rest = records - chosen
    if not rest:
        raise DecisionError("these are all records of the customer: nothing would be left of it")
    # visitors follow the persons that they were seen as, so only accounts and orders are weighed and can found
    order = [m.record for m in members if m.record[0] != evidence.VISITOR]
    parts = [[r for r in order if r in part] for part in (chosen, rest)]
    parts.sort(key=lambda part: (-len(part), order.index(part[0]) if part else len(order)))
    kept, smaller = parts
    if not kept or not smaller:
        raise DecisionError("a visitor is whoever was seen on that device; split the accounts or the orders")
    hands_over = (order[0], kept[0]) if order[0] in smaller else None
    return decisions.append(settings, "split", author, reason, parts=[kept, smaller], hands_over=hands_over)


def undo(settings: Settings, decision_id: str, author: str, reason: str) -> Decision:
    """Take a decision back: with the next run everything is as if it had never been taken."""
    return decisions.append(settings, "undo", author, reason, of=decision_id)


_REVIEW = ("source_id", "other_id", "match_weight", "reason", "evidence", "other_evidence", "decision")


def export_review(settings: Settings, con: duckdb.DuckDBPyConnection, accounts: str, file: Path) -> int:
    """Write the pairs that a person should look at, with what both accounts say; returns their number.

    ``accounts`` is SQL of the accepted rows of customers. The file names people: only its owner may read it.
    """
    shown = (
        "source_system",
        "first_name",
        "last_name",
        "birth_date",
        "email",
        "phone",
        "street",
        "postal_code",
        "city",
    )
    texts = " || '; ' || ".join(f"coalesce(cast({c} as varchar), '-')" for c in shown)
    rows = con.execute(
        f"""
        with last as (
            select customer_id, max_by({texts}, _delivery_date) as said from ({accounts}) group by customer_id
        )
        select r.source_id, r.other_id, round(r.match_weight, 2), r.reason, a.said, b.said, ''
        from ({identity_files.relation(settings, "review")}) as r
        left join last as a on a.customer_id = r.source_id
        left join last as b on b.customer_id = r.other_id
        order by r.match_weight desc, r.source_id, r.other_id
        """
    ).fetchall()
    file.touch(mode=0o600)
    file.chmod(0o600)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_REVIEW)
        writer.writerows(rows)
    return len(rows)


def import_review(settings: Settings, file: Path, author: str) -> list[Decision]:
    """Take the column ``decision`` (same, different, or empty) of a reviewed export as merges and splits.

    Raises DecisionError, naming the line, before anything is written down where a line cannot be taken.
    """
    with open(file, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = {"source_id", "other_id", "decision"} - set(reader.fieldnames or ())
        if missing:
            raise DecisionError(f"{file}: has no column {', '.join(sorted(missing))}")
        rows = [(number, row) for number, row in enumerate(reader, start=2) if (row["decision"] or "").strip()]
    with _connect(settings) as con:
        known = {r[0] for r in con.execute("select source_id from identities where record_kind = 'account'").fetchall()}
    taken = []
    for number, row in rows:
        said = row["decision"].strip().lower()
        if said not in ("same", "different"):
            raise DecisionError(
                f"{file}, line {number}: decision is '{said}'; write same or different, or leave it empty"
            )
        for name in (row["source_id"], row["other_id"]):
            if name not in known:
                raise DecisionError(f"{file}, line {number}: there is no account {name}")
        taken.append((number, said, (evidence.ACCOUNT, row["source_id"]), (evidence.ACCOUNT, row["other_id"])))
    return [
        decisions.append(
            settings,
            "merge" if said == "same" else "split",
            author,
            f"review {file.name}, line {number}",
            parts=[[a, b]] if said == "same" else [[a], [b]],
        )
        for number, said, a, b in taken
    ]
