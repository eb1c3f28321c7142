"""What persons decided: merges and splits, append-only, each with author, reason and time, each to be undone.

``identity/decisions.jsonl`` has one decision a line. Nothing in it is changed or removed: an undo is one more line. It is an
input of every build, so a decision survives all later runs.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestration.settings import Settings

Record = tuple[str, str]
Kind = Literal["merge", "split", "undo"]


class DecisionError(ValueError):
    """A decision cannot be taken; the message says why."""


@dataclass(frozen=True)
class Decision:
    """One decision.

    ``parts`` are groups of source records (kind, id): a merge has one, whose records are one person; a split has two or
    more, no two of which are. The first part of a split keeps the customer_id; ``hands_over`` names the founder that gives
    it away and the record that takes it, where the founder is in another part. ``of`` is the decision undone.
    """

    decision_id: str
    kind: Kind
    author: str
    reason: str
    decided_at: str
    parts: tuple[tuple[Record, ...], ...] = ()
    hands_over: tuple[Record, Record] | None = None
    of: str | None = None


def decisions_file(settings: Settings) -> Path:
    """Where the decisions are."""
    return settings.identity_dir / "decisions.jsonl"


def read_decisions(settings: Settings) -> list[Decision]:
    """Every decision, in the order in which they were taken. Raises DecisionError for a line that is none."""
    file = decisions_file(settings)
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            parts = tuple(tuple((str(k), str(i)) for k, i in part) for part in entry["parts"])
            over = entry["hands_over"]
            entry["hands_over"] = None if over is None else ((over[0][0], over[0][1]), (over[1][0], over[1][1]))
            found.append(Decision(**{**entry, "parts": parts}))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DecisionError(f"{file}, line {number}: is no decision: {error}") from error
    return found


def in_force(decisions: Sequence[Decision]) -> list[Decision]:
    """Merges and splits that were not undone."""
    undone = {d.of for d in decisions if d.kind == "undo"}
    return [d for d in decisions if d.kind != "undo" and d.decision_id not in undone]


def append(
    settings: Settings,
    kind: Kind,
    author: str,
    reason: str,
    *,
    parts: Sequence[Sequence[Record]] = (),
    hands_over: tuple[Record, Record] | None = None,
    of: str | None = None,
) -> Decision:
    """Write a decision down, durably. Raises DecisionError without an author or a reason."""
    if not author.strip() or not reason.strip():
        raise DecisionError("a decision needs an author and a reason")
    known = read_decisions(settings)
    if kind == "undo":
        undone = {d.of for d in known if d.kind == "undo"}
        if of not in {d.decision_id for d in known if d.kind != "undo"}:
            raise DecisionError(f"there is no decision {of}; `fidelis identity decisions` lists them")
        if of in undone:
            raise DecisionError(f"decision {of} is undone already")
    decision = Decision(
        decision_id=f"D{len(known) + 1:05d}",
        kind=kind,
        author=author.strip(),
        reason=reason.strip(),
        # when a person decided is a fact of the world: no figure depends on it
        decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
        parts=tuple(tuple(sorted(set(part))) for part in parts),
        hands_over=hands_over,
        of=of,
    )
    file = decisions_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(file, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(decision), ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return decision


@dataclass(frozen=True)
class Constraints:
    """Decisions as pairs of nodes: joined, told apart; and who carries whose customer_id."""

    joined: tuple[tuple[int, int], ...]
    apart: tuple[tuple[int, int], ...]
    hand_overs: tuple[tuple[int, int, str], ...]


def constraints(decisions: Sequence[Decision], nodes: Mapping[Record, int]) -> Constraints:
    """The decisions in force over the records that there are; of two that contradict each other the later one holds."""
    joined: dict[tuple[int, int], None] = {}
    apart: dict[tuple[int, int], None] = {}
    hand_overs = []
    for decision in in_force(decisions):
        parts = [sorted(nodes[r] for r in part if r in nodes) for part in decision.parts]
        for part in parts:
            inside = set(part)
            for pair in [p for p in apart if p[0] in inside and p[1] in inside]:
                del apart[pair]
            joined.update(dict.fromkeys((part[0], node) for node in part[1:]))
        for i, part in enumerate(parts):
            for other in parts[i + 1 :]:
                for pair in ((min(a, b), max(a, b)) for a in part for b in other):
                    joined.pop(pair, None)
                    apart[pair] = None
        if decision.hands_over is not None and all(r in nodes for r in decision.hands_over):
            giver, taker = decision.hands_over
            hand_overs.append((nodes[giver], nodes[taker], decision.decision_id))
    return Constraints(tuple(joined), tuple(apart), tuple(hand_overs))
