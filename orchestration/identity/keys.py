"""Exact keys: which records the declared rules join, and which keys are not one person's.

All rules are worked off in one pass over arrays of integers. Keys are compared by 64-bit hashes, spellings (first name, family
name, birth date) by number; letters are looked at, by `match.compared`, only where a key has several spellings, and once for
each pair of spellings. Makes table ``edge(l, r, rank, weight)`` over nodes, ``l < r``; rank is the place of the rule in the order
of trust.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from orchestration.identity import match
from orchestration.identity.cluster import components
from orchestration.identity.ruleset import Ruleset

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]

#: Distinct spellings under one key above which pairs are not compared: nobody's own key.
_SPELLINGS = 60


@dataclass(frozen=True)
class _Versions:
    """Versions of accounts, sorted by spelling and node: number of the spelling, first letter (-1: no first name)."""

    node: Ints
    state_id: Keys
    spelling: Ints
    initial: Ints


@dataclass(frozen=True)
class _Shared:
    """Keys that several nodes have: ``row`` of versions by ``group``, each group a key of rule ``rank``; sorted by spelling and node."""

    row: Ints
    group: Ints
    rank: Ints
    key: Keys


@dataclass(frozen=True)
class _Pairs:
    """Two spellings of a group, as places in the list of spellings, and what `match.compared` says of them."""

    left: Ints
    right: Ints
    differs: Flags
    is_other_name: Flags
    is_one_name: Flags
    agrees: Flags


def exact_edges(con: duckdb.DuckDBPyConnection, rules: Ruleset) -> None:
    """Table ``edge`` out of table ``state``, and table ``contested(name, key)``: hashes of keys that are not one person's."""
    import pyarrow as pa

    match.define_macros(con)
    match.count_bearers(con)
    versions, shared = _shared(con, rules)
    # one per key and spelling of a person: how many records are behind it does not matter
    is_first = _starts(shared.group, versions.spelling[shared.row])
    place = np.cumsum(is_first) - 1
    row, group = shared.row[is_first], shared.group[is_first]
    spellings = np.bincount(group, minlength=len(shared.rank))
    # people under a key are counted by their initials: a person's spellings mostly share one
    is_evidence = (_initials(versions.initial[row], group, len(shared.rank)) <= rules.shared_by_at_most) & (
        spellings <= _SPELLINGS
    )
    node = versions.node[row]
    pairs = _compare(con, rules, versions, shared.rank, row, group, np.where(is_evidence, spellings, 0))
    is_contested = _contested(pairs, node, group, len(shared.rank))

    is_named = (versions.initial[row] >= 0) | ~is_contested[group]
    inside = (is_evidence[shared.group]) & is_named[place]
    across = ~pairs.differs & (pairs.agrees | ~is_contested[group[pairs.left]])
    edges = _distinct(
        np.concatenate([node[place][inside], node[pairs.left][across]]),
        np.concatenate([versions.node[shared.row][inside], node[pairs.right][across]]),
        np.concatenate([shared.rank[shared.group][inside], shared.rank[group[pairs.left]][across]]),
    )
    found = pa.table({**edges, "weight": pa.nulls(len(edges["l"]), pa.float64())})
    con.register("arriving", found)
    con.execute("create or replace table edge as select * from arriving")
    alone = {rank: rule.keys[0] for rank, rule in enumerate(rules.rules, start=1) if len(rule.keys) == 1}
    unfit = np.flatnonzero((is_contested | ~is_evidence) & np.isin(shared.rank, list(alone)))
    names = pa.array([alone[rank] for rank in shared.rank[unfit].tolist()], pa.string())
    con.register("arriving", pa.table({"name": names, "key": shared.key[unfit]}))
    con.execute("create or replace table contested as select * from arriving")
    con.unregister("arriving")


def _shared(con: duckdb.DuckDBPyConnection, rules: Ruleset) -> tuple[_Versions, _Shared]:
    ranks = range(1, len(rules.rules) + 1)
    keys = ", ".join(
        f"case when {' and '.join(f'{k} is not null' for k in rule.keys)} then hash({', '.join(rule.keys)}) end as key_{rank}"
        for rank, rule in zip(ranks, rules.rules, strict=True)
    )
    found = con.execute(
        "select node, state_id, hash(first_name, last_name, birth_date) as spelling, "
        f"coalesce(unicode(first_name), -1) as initial, {keys} from state"
    ).fetchnumpy()
    _, number = np.unique(np.ma.getdata(found["spelling"]), return_inverse=True)
    order = np.argsort((number.astype(np.int64) << 32) | np.asarray(found["node"]))
    versions = _Versions(
        node=np.asarray(found["node"], dtype=np.int64)[order],
        state_id=np.asarray(found["state_id"], dtype=np.uint64)[order],
        spelling=number.astype(np.int64)[order],
        initial=np.asarray(found["initial"], dtype=np.int64)[order],
    )
    parts = [_rows_of_shared_keys(np.ma.asarray(found[f"key_{rank}"])[order], versions.node) for rank in ranks]
    row = np.concatenate([part[0] for part in parts])
    key = np.concatenate([part[1] for part in parts])
    rank = np.repeat(np.arange(1, len(parts) + 1), [len(part[0]) for part in parts])
    is_first = _starts(rank, key)
    return versions, _Shared(row, np.cumsum(is_first) - 1, rank[is_first], key[is_first])


def _rows_of_shared_keys(values: NDArray[np.uint64], node: Ints) -> tuple[Ints, Keys]:
    """Rows whose key another node has, sorted by key and then as they were; and their keys."""
    known = np.flatnonzero(~np.ma.getmaskarray(values))
    key: Keys = np.ma.getdata(values)
    order = known[np.argsort(key[known])]
    twin = key[order[1:]] == key[order[:-1]]
    row = np.sort(order[np.append(twin, False) | np.append(False, twin)]) if len(order) else order
    row = row[np.argsort(key[row], kind="stable")]
    starts = np.flatnonzero(_starts(key[row]))
    if not len(starts):
        return row, key[row]
    several = np.minimum.reduceat(node[row], starts) != np.maximum.reduceat(node[row], starts)
    row = row[np.repeat(several, np.diff(np.append(starts, len(row))))]
    return row, key[row]


def _starts(*values: NDArray[np.generic]) -> Flags:
    """Where one of the columns, which are sorted together, has another value than in the row before."""
    changes = np.ones(len(values[0]), dtype=np.bool_)
    if len(changes):
        changes[1:] = np.logical_or.reduce([value[1:] != value[:-1] for value in values])
    return changes


def _initials(initial: Ints, group: Ints, groups: int) -> Ints:
    """How many different first letters each group has; who has no name has none."""
    pairs = np.sort((group[initial >= 0] << 32) | initial[initial >= 0])
    return np.bincount(pairs[_starts(pairs)] >> 32, minlength=groups)


def _compare(
    con: duckdb.DuckDBPyConnection, rules: Ruleset, versions: _Versions, rank: Ints, row: Ints, group: Ints, sizes: Ints
) -> _Pairs:
    """All pairs within the groups of ``sizes`` spellings (0: not looked at)."""
    ends = np.cumsum(np.bincount(group, minlength=len(sizes)))
    following = np.where(sizes[group] > 1, ends[group] - np.arange(len(group)) - 1, 0)
    left = np.repeat(np.arange(len(group)), following)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(following) - following, following)
    one, other = versions.spelling[row[left]], versions.spelling[row[right]]
    _, first, which = np.unique((one << 32) | other, return_index=True, return_inverse=True)
    said = match.compared(con, versions.state_id[row[left[first]]], versions.state_id[row[right[first]]])
    differs = np.zeros(len(left), dtype=np.bool_)
    for number, rule in enumerate(rules.rules, start=1):
        mine = rank[group[left]] == number
        for what in rule.against:
            differs |= mine & said[what][which]
    return _Pairs(left, right, differs, said["is_other_name"][which], said["is_one_name"][which], said["agrees"][which])


def _contested(pairs: _Pairs, node: Ints, group: Ints, groups: int) -> Flags:
    """Keys whose spellings are of several people: those that no chain of spellings connects."""
    of_one = node[pairs.left] == node[pairs.right]
    # a name of one letter or two says nothing
    tied = pairs.is_one_name | (~pairs.differs & of_one)
    person = components(len(group), pairs.left[tied], pairs.right[tied])
    other = ~of_one & pairs.differs & pairs.is_other_name & (person[pairs.left] != person[pairs.right])
    found = np.zeros(groups, dtype=np.bool_)
    found[group[pairs.left[other]]] = True
    return found


def _distinct(one: Ints, other: Ints, rank: Ints) -> dict[str, Ints]:
    """Edges, each once: l < r, sorted by rank, l and r."""
    left, right = np.minimum(one, other), np.maximum(one, other)
    nodes = int(right.max(initial=0)) + 1
    packed = np.sort(((rank * nodes + left) * nodes + right)[left != right])
    packed = packed[_starts(packed)]
    return {"l": packed // nodes % nodes, "r": packed % nodes, "rank": packed // nodes // nodes}
