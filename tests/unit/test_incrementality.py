"""Lift, its intervals and tests, against published examples, closed formulas and simulation."""

from fractions import Fraction

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestration.incrementality import (
    Arm,
    InputError,
    adjusted_difference,
    assign,
    difference_of_means,
    difference_of_rates,
    is_held_out,
    matched_difference,
    minimum_detectable_difference,
    sample_ratio_p_value,
    wilson_interval,
)
from orchestration.incrementality.mart import loyalty


def rate(successes: int, customers: int) -> Arm:
    return Arm(customers, Fraction(successes), Fraction(successes))


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_the_interval_of_a_difference_of_rates_is_newcombes(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    effect = difference_of_rates(rate(*one), rate(*other))
    assert (round(effect.low, 4), round(effect.high, 4)) == (low, high)
    assert effect.difference == pytest.approx(one[0] / one[1] - other[0] / other[1])


def test_the_interval_of_a_rate_is_wilsons() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3: 81 of 263
    assert [round(v, 4) for v in wilson_interval(81, 263)] == [0.2553, 0.3662]
    assert wilson_interval(0, 20)[0] == 0.0
    assert wilson_interval(20, 20)[1] == 1.0


def test_the_p_value_of_rates_is_the_chi_squared_one_and_fishers_where_few_are_expected() -> None:
    table = [[120, 880], [90, 910]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert difference_of_rates(rate(120, 1000), rate(90, 1000)).p_value == pytest.approx(expected)
    few = stats.fisher_exact([[4, 96], [0, 40]])[1]
    assert difference_of_rates(rate(4, 100), rate(0, 40)).p_value == pytest.approx(few)
    assert difference_of_rates(rate(0, 100), rate(0, 40)).p_value == 1.0


def test_a_difference_of_means_is_welchs() -> None:
    rng = np.random.default_rng(5)
    y1, y2 = np.round(rng.gamma(2, 20, 300), 2), np.round(rng.gamma(2, 18, 80), 2)
    effect = difference_of_means(Arm.of(y1), Arm.of(y2))
    welch = stats.ttest_ind(y1, y2, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert effect.difference == pytest.approx(y1.mean() - y2.mean())
    assert (effect.low, effect.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert effect.p_value == pytest.approx(welch.pvalue)
    assert effect.variance_kept == 1.0


def test_figures_do_not_depend_on_the_order_of_customers() -> None:
    rng = np.random.default_rng(6)
    y, x = np.round(rng.gamma(0.1, 300, 500), 2), np.round(rng.gamma(0.5, 200, 500), 2)
    order = rng.permutation(400)
    one, again = Arm.of(y[:400], x[:400]), Arm.of(y[:400][order], x[:400][order])
    assert one == again
    assert adjusted_difference(one, Arm.of(y[400:], x[400:])) == adjusted_difference(again, Arm.of(y[400:], x[400:]))


def test_an_adjustment_by_what_was_before_takes_out_its_share_of_the_variance_and_leaves_the_effect() -> None:
    rng = np.random.default_rng(7)
    past = rng.normal(100, 30, 4000)
    spent = 20 + 0.8 * (past - 100) + rng.normal(0, 18, 4000)
    spent[:3000] += 2
    treated, control = Arm.of(spent[:3000], past[:3000]), Arm.of(spent[3000:], past[3000:])
    plain, adjusted = difference_of_means(treated, control), adjusted_difference(treated, control)
    # correlation squared: 0.8^2 * 30^2 / (0.8^2 * 30^2 + 18^2) = 0.64
    assert adjusted.variance_kept == pytest.approx(0.36, abs=0.03)
    assert adjusted.high - adjusted.low == pytest.approx(
        (plain.high - plain.low) * adjusted.variance_kept**0.5, rel=0.01
    )
    assert adjusted.low < 2 < adjusted.high


def test_an_adjusted_difference_is_that_of_a_regression_on_arm_and_past() -> None:
    """The pooled within-arm slope is least squares' slope of y on x and the arm; so are the differences."""
    rng = np.random.default_rng(8)
    past = np.round(rng.gamma(1, 50, 200), 2)
    arm = np.arange(200) < 120
    spent = np.round(5 * arm + 0.3 * past + rng.normal(0, 5, 200), 2)
    design = np.column_stack([np.ones(200), arm, past])
    expected = np.linalg.lstsq(design, spent, rcond=None)[0][1]
    effect = adjusted_difference(Arm.of(spent[arm], past[arm]), Arm.of(spent[~arm], past[~arm]))
    assert effect.difference == pytest.approx(expected)


def test_without_a_past_the_adjustment_is_none() -> None:
    one, other = Arm.of([1, 2, 4]), Arm.of([0, 1, 1])
    assert adjusted_difference(one, other) == difference_of_means(one, other)


def test_values_that_do_not_vary_have_an_interval_of_no_width() -> None:
    effect = difference_of_means(Arm.of([0, 0]), Arm.of([0, 0, 0]))
    assert (effect.difference, effect.low, effect.high, effect.p_value) == (0, 0, 0, 1)


def test_a_sample_ratio_is_tested_as_by_chi_squared() -> None:
    expected = stats.chisquare([8400, 1600], [8500, 1500]).pvalue
    assert sample_ratio_p_value(8400, 1600, 0.15) == pytest.approx(expected)
    assert sample_ratio_p_value(8500, 1500, 0.15) == 1.0


def test_the_minimum_detectable_difference_is_found_in_four_of_five_tests() -> None:
    rng = np.random.default_rng(9)
    detectable = minimum_detectable_difference(rate(0, 5000), rate(50, 1000))
    found = 0
    for _ in range(400):
        # the variance is taken as that of the control, so both arms vary alike here
        y1, y2 = rng.normal(detectable, 0.05**0.5, 5000), rng.normal(0, 0.05**0.5, 1000)
        found += stats.ttest_ind(y1, y2).pvalue < 0.05
    assert 0.74 < found / 400 < 0.87


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Arm(3, Fraction(4), Fraction(1)),
        lambda: Arm(-1, Fraction(0), Fraction(0)),
        lambda: difference_of_rates(rate(0, 0), rate(1, 2)),
        lambda: difference_of_means(Arm.of([1]), Arm.of([1, 2])),
        lambda: minimum_detectable_difference(rate(0, 1), rate(0, 1)),
        lambda: sample_ratio_p_value(1, 1, 0),
        lambda: assign({"c": "new"}, "k", 1.0, "salt"),
    ],
)
def test_what_cannot_be_is_refused(broken: object) -> None:
    with pytest.raises(InputError):
        broken()  # type: ignore[operator]


AUDIENCE = st.dictionaries(st.text(min_size=1, max_size=4), st.sampled_from(["champion", "loyal", "lost"]), max_size=60)


@given(AUDIENCE, st.sampled_from([0.0, 0.1, 0.15, 0.5]), st.sampled_from([0.0, 0.3]), st.randoms(use_true_random=False))
def test_a_draw_is_of_the_audience_as_a_set_with_the_share_in_each_segment(
    audience: dict[str, str], share: float, holdout: float, rng: object
) -> None:
    drawn = assign(audience, "k1", share, "salt", holdout)
    shuffled = list(audience.items())
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assign(dict(shuffled), "k1", share, "salt", holdout) == drawn
    assert [a.customer_id for a in drawn] == sorted(audience)
    open_to_all = [a for a in drawn if a.group != "holdout"]
    for segment in {a.segment for a in open_to_all}:
        members = [a for a in open_to_all if a.segment == segment]
        assert abs(sum(a.group == "control" for a in members) - share * len(members)) < 1
    assert sum(a.group == "control" for a in open_to_all) == round(share * len(open_to_all))
    assert {a.customer_id for a in drawn if a.group == "holdout"} == {
        c for c in audience if is_held_out(c, "salt", holdout)
    }


def test_draws_of_two_campaigns_and_of_two_salts_are_independent() -> None:
    audience = {f"c{n}": "loyal" for n in range(4000)}

    def control(campaign: str, salt: str) -> set[str]:
        return {a.customer_id for a in assign(audience, campaign, 0.5, salt) if a.group == "control"}

    first, second, salted = control("k1", "a"), control("k2", "a"), control("k1", "b")
    # hypergeometric: mean 1000, standard deviation 16
    assert abs(len(first & second) - 1000) < 65
    assert abs(len(first & salted) - 1000) < 65


def test_the_global_holdout_has_its_share_stays_and_grows_only() -> None:
    customers = [f"c{n}" for n in range(20_000)]
    five = {c for c in customers if is_held_out(c, "salt", 0.05)}
    ten = {c for c in customers if is_held_out(c, "salt", 0.10)}
    assert five < ten
    # binomial: standard deviation 31 and 42
    assert abs(len(five) - 1000) < 125
    assert abs(len(ten) - 2000) < 170
    held = {
        a.customer_id for a in assign(dict.fromkeys(customers, "x"), "any", 0.2, "salt", 0.05) if a.group == "holdout"
    }
    assert held == five


# --- members against customers alike ---

#: Values of treated and control by stratum; the third has one treated, who has no variance.
STRATA = [
    ([10] * 20 + [14] * 20, [6] * 15 + [10] * 15),
    ([0] * 5 + [2] * 5, [1, 1, 1, 1, 6]),
    ([1000], [0] * 100),
]


def test_strata_weigh_as_many_as_are_treated_in_them() -> None:
    found = matched_difference([(Arm.of(a), Arm.of(b)) for a, b in STRATA])
    # 40 gain 12 - 8 = 4, 10 lose 2 - 1 = 1
    assert (found.treated, found.control) == (50, 35)
    assert (found.value_treated, found.value_control) == (pytest.approx(9.8), pytest.approx(6.8))
    assert found.effect.difference == pytest.approx(3.0)
    parts = [(0.64 * 160 / 39 / 40, 39), (0.64 * 120 / 29 / 30, 29), (0.04 * 10 / 9 / 10, 9), (0.04 * 5 / 5, 4)]
    error = sum(v for v, _ in parts)
    freedom = error**2 / sum(v**2 / free for v, free in parts)
    half = stats.t.ppf(0.975, freedom) * error**0.5
    assert (found.effect.low, found.effect.high) == (pytest.approx(3 - half), pytest.approx(3 + half))
    assert found.effect.p_value == pytest.approx(2 * stats.t.sf(3 / error**0.5, freedom))


def test_too_few_on_either_side_are_not_compared() -> None:
    enough, few = Arm.of([1, 2] * 15), Arm.of([1, 2] * 14)
    assert matched_difference([(enough, enough)]).effect.difference == 0
    for pair in ((enough, few), (few, enough)):
        with pytest.raises(InputError, match="30 on either side are the least"):
            matched_difference([pair])
    with pytest.raises(InputError, match="0 customers"):
        matched_difference([])


def test_the_interval_of_the_members_gain_holds_the_truth_where_a_plain_comparison_does_not() -> None:
    """Who buys more enrols more: in six strata the mean margin is 20 to 120, the share of members 5 to 55 %, the gain of members 10."""
    rng = np.random.default_rng(11)
    held = plainly = 0
    for _ in range(200):
        stratum = rng.integers(0, 6, 900)
        member = rng.random(900) < 0.05 + 0.10 * stratum
        cents = np.round(rng.gamma(0.8, 2500 * (1 + stratum)) + 1000 * member).astype(np.int64)
        arms = [[arm(cents[(stratum == s) & (member == side)]) for side in (True, False)] for s in range(6)]
        effect = matched_difference([(a, b) for a, b in arms]).effect
        held += effect.low <= 10 <= effect.high
        plain = difference_of_means(arm(cents[member]), arm(cents[~member]))
        plainly += plain.low <= 10 <= plain.high
    # 190 expected; 181 is three standard errors below
    assert held >= 181
    assert plainly < 20


def arm(cents: np.ndarray) -> Arm:
    return Arm(len(cents), Fraction(int(cents.sum()), 100), Fraction(int((cents * cents).sum()), 10_000))


def strata_table(rows: list[tuple]) -> duckdb.DuckDBPyRelation:
    con = duckdb.connect()
    con.execute(
        "create table strata (comparison varchar, horizon_months integer, stratum varchar, is_treated boolean, customers bigint, "
        "orders bigint, orders_of_known_cost bigint, margin_total decimal(38, 2), margin_squares decimal(38, 4), cost_total decimal(38, 6))"
    )
    con.executemany("insert into strata values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return con.table("strata")


def test_the_return_is_the_gain_less_the_cost_beyond_that_of_those_compared_with() -> None:
    costs = [(80, 15), (10, 0), (7, 3)]
    rows = [
        ("matched", 12, f"s{i}", side == 0, len(values), 9, 9, sum(values), sum(v * v for v in values), cost[side])
        for i, (sides, cost) in enumerate(zip(STRATA, costs, strict=True))
        for side, values in enumerate(sides)
    ]
    rows.append(("matched", 12, "members alone", True, 4, 0, 0, 0, 0, 2))
    rows += [("held_out", 24, "c", side, 40, 5, 0, 0, 0, 10) for side in (True, False)]
    rows += [("held_out", 36, "c", side, 40, 5, 5, 200 + 40 * side, 1600, 10) for side in (True, False)]
    found = {(r["comparison"], r["horizon_months"]): r for r in loyalty(strata_table(rows[::-1])).to_pylist()}
    assert list(found) == [(c, h) for c in ("matched", "held_out") for h in (12, 24, 36)]
    gained = found["matched", 12]
    assert (gained["members"], gained["members_compared"], gained["compared_with"]) == (55, 50, 35)
    # 90 for the 50, less 40 x 15 / 30 that 40 alike cost: 70 / 50
    assert gained["cost_per_member"] == pytest.approx(1.4)
    assert gained["margin_gain"] == pytest.approx(3.0)
    assert gained["roi"] == pytest.approx(1.6 / 1.4)
    assert gained["roi_low"] == pytest.approx((gained["margin_gain_low"] - 1.4) / 1.4)
    assert gained["roi_high"] == pytest.approx((gained["margin_gain_high"] - 1.4) / 1.4)
    assert gained["reason"] is None
    assert found["matched", 24]["reason"] == "0 customers and 0 alike to compare with; 30 on either side are the least."
    assert found["held_out", 24]["reason"] == "the costs of the goods sold are not known"
    free = found["held_out", 36]
    assert (free["margin_gain"], free["cost_per_member"], free["roi"]) == (pytest.approx(1.0), 0.0, None)
    assert "no cost" in free["reason"]
