"""Records joined by edges become clusters; where two of a cluster must stay apart, the strongest edges win.

Nodes are numbered by seniority; a cluster's label is its smallest node, its founder. The result depends on the
set of edges, never on their order.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: Rank of what a person decided: before all rules.
MANUAL = 0


def components(nodes: int, left: Ints, right: Ints) -> Ints:
    """Label of each node: the smallest node of its connected component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return np.arange(nodes, dtype=np.int64)
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    count, found = connected_components(graph, directed=False)
    founder = np.full(count, nodes, dtype=np.int64)
    np.minimum.at(founder, found, np.arange(nodes, dtype=np.int64))
    labels: Ints = founder[found]
    return labels


def resolve(
    nodes: int,
    left: Ints,
    right: Ints,
    rank: Ints,
    weight: NDArray[np.float64],
    forbidden: Iterable[tuple[int, int]],
    decided_apart: Iterable[tuple[int, int]] = (),
) -> Ints:
    """Label of each node: connected components, cut where they hold a ``forbidden`` pair.

    Only components that hold one are looked at again: their edges are taken from the strongest (rank, then weight, then
    seniority) and an edge that would join a forbidden pair is left out. A manual edge (rank 0) overrides ``forbidden``
    pairs, which rules found, but not ``decided_apart``, which persons decided.
    """
    labels = components(nodes, left, right)
    apart = [(a, b, True) for a, b in decided_apart] + [(a, b, False) for a, b in forbidden]
    apart = [(a, b, manual) for a, b, manual in apart if labels[a] == labels[b]]
    if not apart:
        return labels
    touched = np.unique([labels[a] for a, _, _ in apart])
    inside = np.flatnonzero(np.isin(labels[left], touched))
    order = inside[np.lexsort((right[inside], left[inside], -weight[inside], rank[inside]))]
    groups = _Groups(np.flatnonzero(np.isin(labels, touched)).tolist(), apart)
    for edge in order:
        groups.join(int(left[edge]), int(right[edge]), manual=bool(rank[edge] == MANUAL))
    labels = labels.copy()
    for label, members in groups.members.items():
        labels[members] = label
    return labels


class _Groups:
    """Growing groups of nodes, by their smallest node, and which of them must not become one."""

    def __init__(self, nodes: Sequence[int], apart: Iterable[tuple[int, int, bool]]) -> None:
        self.members = {node: [node] for node in nodes}
        self._label = {node: node for node in nodes}
        self._apart: dict[int, dict[int, bool]] = defaultdict(dict)
        for a, b, manual in apart:
            for x, y in ((a, b), (b, a)):
                self._apart[x][y] = self._apart[x].get(y, False) or manual

    def join(self, a: int, b: int, *, manual: bool) -> None:
        a, b = sorted((self._label[a], self._label[b]))
        if a == b or (b in self._apart[a] and (not manual or self._apart[a][b])):
            return
        for node in self.members[b]:
            self._label[node] = a
        self.members[a] += self.members.pop(b)
        for other, decided in self._apart.pop(b, {}).items():
            del self._apart[other][b]
            if other != a:
                for x, y in ((a, other), (other, a)):
                    self._apart[x][y] = self._apart[x].get(y, False) or decided
