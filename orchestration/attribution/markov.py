"""Removal effects of a first-order Markov chain (Anderl, Becker, von Wangenheim and Schumann 2016)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

START, ORDER, END = "start", "order", "end"


def removal_effects(transitions: Mapping[tuple[str, str], int]) -> dict[str, float]:
    """Share of the orders that would be lost without each channel.

    ``transitions`` counts how often a state followed another, from ``start`` over channels to ``order`` or ``end``. Whoever would come to
    the channel removed goes to ``end``. Without an order, each effect is 0.
    """
    channels = sorted({state for pair in transitions for state in pair} - {START, ORDER, END})
    place = {channel: i for i, channel in enumerate(channels)}
    n = len(channels)
    moves, orders = np.zeros((n + 1, n)), np.zeros(n + 1)
    totals = np.zeros(n + 1)
    for (origin, target), count in sorted(transitions.items()):
        row = n if origin == START else place[origin]
        totals[row] += count
        if target == ORDER:
            orders[row] += count
        elif target != END:
            moves[row, place[target]] += count
    seen = np.where(totals > 0, totals, 1)
    moves, orders = moves / seen[:, None], orders / seen

    def ordering(kept: Any) -> float:
        """P(order) from the start when only these channels are left."""
        inner = np.flatnonzero(kept)
        reached = np.linalg.solve(np.eye(len(inner)) - moves[np.ix_(inner, inner)], orders[inner])
        return float(orders[n] + moves[n, inner] @ reached)

    everything = ordering(np.ones(n, bool))
    if everything <= 0:
        return dict.fromkeys(channels, 0.0)
    return {c: 1 - ordering(np.arange(n) != i) / everything for c, i in place.items()}


def removal_effects_table(transitions: Any) -> Any:
    """Arrow table of ``channel`` and ``removal_effect`` from a DuckDB relation ``from_state, to_state, transitions`` with
    several counts of a pair, summed up here.
    """
    import pyarrow as pa

    counted = transitions.aggregate("from_state, to_state, sum(transitions)").fetchall()
    effects = removal_effects({(origin, target): count for origin, target, count in counted})
    return pa.table(
        {
            "channel": pa.array(list(effects), pa.string()),
            "removal_effect": pa.array(list(effects.values()), pa.float64()),
        }
    )
