"""Removal effects, worked out by hand and by walking the chain."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution import END, ORDER, START, removal_effects


def test_removal_effects_of_a_chain_worked_out_by_hand() -> None:
    """Paths: a b order; a end; b a order; b end.

    From start: a and b, one half each. From a: b, end, order, one third each. From b: a, order, end, one third each. With x = P(order | a)
    = P(order | b): x = 1/3 + x/3, so 1/2. Without b: 1/2 * 1/3 = 1/6, so 1 - (1/6) / (1/2) = 2/3; the same without a.
    """
    paths = {
        (START, "a"): 2, (START, "b"): 2, ("a", "b"): 1, ("a", END): 1, ("a", ORDER): 1, ("b", "a"): 1, ("b", ORDER): 1, ("b", END): 1,
    }  # fmt: skip
    assert removal_effects(paths) == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3)}


def test_a_channel_that_leads_nowhere_has_no_effect_and_one_on_every_path_all_of_it() -> None:
    paths = {(START, "ads"): 5, ("ads", END): 5, (START, "email"): 2, ("email", ORDER): 1, ("email", END): 1}
    assert removal_effects(paths) == {"ads": pytest.approx(0), "email": pytest.approx(1)}


def test_a_channel_may_follow_itself() -> None:
    paths = {(START, "a"): 2, ("a", "a"): 2, ("a", ORDER): 1, ("a", END): 1}
    assert removal_effects(paths) == {"a": pytest.approx(1)}


def test_without_paths_or_without_orders_nothing_has_an_effect() -> None:
    assert removal_effects({}) == {}
    assert removal_effects({(START, "a"): 1, ("a", END): 1}) == {"a": 0}


PATHS = st.lists(
    st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.sampled_from([ORDER, END])),
    min_size=1,
    max_size=8,
)


@given(PATHS)
def test_effects_are_those_of_walking_the_chain_step_by_step(paths: list[tuple[list[str], str]]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for channels, outcome in paths:
        states = [START, *channels, outcome]
        for pair in pairwise(states):
            counts[pair] = counts.get(pair, 0) + 1
    states = sorted({s for pair in counts for s in pair} | {ORDER, END})

    def ordering(removed: str | None) -> float:
        matrix = np.eye(len(states))
        for i, origin in enumerate(states):
            out = {target: n for (o, target), n in counts.items() if o == origin}
            if out:
                matrix[i] = 0
            for target, n in out.items():
                matrix[i, states.index(END if target == removed else target)] += n / sum(out.values())
        return float(np.linalg.matrix_power(matrix, 4096)[states.index(START), states.index(ORDER)])

    everything = ordering(None)
    for channel, effect in removal_effects(counts).items():
        expected = 1 - ordering(channel) / everything if everything > 0 else 0
        assert effect == pytest.approx(expected, abs=1e-6)
        assert -1e-12 <= effect <= 1 + 1e-12
