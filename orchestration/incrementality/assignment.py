"""Who is held back from a campaign: by a salted hash, so that anybody can draw the same again."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from orchestration.incrementality.arms import InputError

Group = Literal["treated", "control", "holdout"]

_HOLDOUT = "global holdout"


@dataclass(frozen=True)
class Assigned:
    """What a customer is in a campaign; holdout: in the long-run global holdout, so in no campaign at all."""

    customer_id: str
    segment: str
    group: Group


def _number(salt: str, purpose: str, customer_id: str) -> int:
    """A number that is uniform over 64 bits; lengths are part of what is hashed, so that no two inputs run together."""
    text = f"{len(salt)}:{salt}|{len(purpose)}:{purpose}|{customer_id}"
    return int.from_bytes(sha256(text.encode()).digest()[:8])


def is_held_out(customer_id: str, salt: str, share: float) -> bool:
    """Whether a customer is in the global holdout: for as long as salt and share stay, whatever the campaign.

    A larger share keeps everybody who was in the smaller one.
    """
    _check(share, "The holdout's share")
    return _number(salt, _HOLDOUT, customer_id) < int(share * 2**64)


def held_out_sql(column: str, salt: str, share: float) -> str:
    """The same as a condition of DuckDB over a column of customers."""
    _check(share, "The holdout's share")
    before = f"{len(salt)}:{salt}|{len(_HOLDOUT)}:{_HOLDOUT}|".replace("'", "''")
    return f"(sha256('{before}' || {column})[:16] < '{int(share * 2**64):016x}')"


def assign(
    segments: Mapping[str, str], campaign_id: str, control_share: float, salt: str, holdout_share: float = 0.0
) -> list[Assigned]:
    """Each customer's group in a campaign, by customer_id.

    ``segments`` is the audience, customer to segment. Of each segment the share is held back to the customer; what is left over by
    rounding goes to the segments with the largest remainders, so that the whole audience has the share to the customer, too. Depends on the
    audience as a set, on campaign and salt; of the order, nothing.
    """
    _check(control_share, "The control's share")
    held_out = {c for c in segments if is_held_out(c, salt, holdout_share)}
    strata: dict[str, list[str]] = defaultdict(list)
    for customer_id in sorted(segments.keys() - held_out, key=lambda c: (_number(salt, campaign_id, c), c)):
        strata[segments[customer_id]].append(customer_id)
    exact = {segment: control_share * len(members) for segment, members in strata.items()}
    sizes = {segment: int(size) for segment, size in exact.items()}
    missing = round(sum(exact.values())) - sum(sizes.values())
    for segment in sorted(exact, key=lambda s: (sizes[s] - exact[s], s))[:missing]:
        sizes[segment] += 1
    control = {c for segment, members in strata.items() for c in members[: sizes[segment]]}
    return [
        Assigned(c, segments[c], "holdout" if c in held_out else "control" if c in control else "treated")
        for c in sorted(segments)
    ]


def _check(share: float, what: str) -> None:
    if not 0 <= share < 1:
        raise InputError(f"{what} lies between 0 and 1, not at {share}.")
