"""Incrementality between the mart and the statistics: exact sums per arm in, an Arrow table of effects out.

Called by dbt's Python models ``int_campaign_effects`` and ``int_loyalty_effects``.
"""

from collections import defaultdict
from fractions import Fraction
from typing import Any

from orchestration.incrementality.arms import Arm, Effect, InputError
from orchestration.incrementality.design import minimum_detectable_difference, sample_ratio_p_value
from orchestration.incrementality.means import adjusted_difference, difference_of_means
from orchestration.incrementality.rates import difference_of_rates
from orchestration.incrementality.strata import matched_difference
from orchestration.settings import load_settings

#: Outcomes of int_campaign_arms; those that are rates have 0 or 1 per customer.
RATES = ("visited", "converted")
AMOUNTS = ("net", "margin")

_NUMBERS = (
    "value_treated", "value_control", "difference", "difference_low", "difference_high", "p_value",
    "minimum_detectable_difference", "sample_ratio_p_value", "variance_kept",
)  # fmt: skip
#: Of loyalty actions: who is compared, and over how many months.
COMPARISONS = ("matched", "held_out")
HORIZONS = (12, 24, 36)

_EMPTY = Arm(0, Fraction(0), Fraction(0))


def effects(arms: Any, campaigns: Any) -> Any:
    """Table of effects: per campaign, outcome and arm, and with the arm null for all that were treated together.

    An effect that cannot be worked out has nulls and its reason. With FIDELIS_LIFT_ADJUSTED, amounts are adjusted by what the customers
    bought in the year before (CUPED); rates never are.
    """
    import pyarrow as pa

    columns = list(arms.columns)
    planned = dict(campaigns.project("campaign_id, control_share").fetchall())
    by_campaign: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in arms.order("campaign_id, is_control, arm").fetchall():
        named = dict(zip(columns, row, strict=True))
        by_campaign[named["campaign_id"]].append(named)
    found = []
    for campaign_id, rows in by_campaign.items():
        control = [r for r in rows if r["is_control"]]
        treated = [r for r in rows if not r["is_control"]]
        groups = [(None, treated), *((r["arm"], [r]) for r in treated)]
        for arm, members in groups:
            share = planned.get(campaign_id) if arm is None else None
            for outcome in (*RATES, *AMOUNTS):
                effect = _effect(outcome, members, control, share)
                found.append({"campaign_id": campaign_id, "arm": arm, "outcome": outcome, **effect})
    whole = ("treated", "control")
    schema = pa.schema(
        [(name, pa.string()) for name in ("campaign_id", "arm", "outcome", "reason")]
        + [("is_complete", pa.bool_()), ("is_adjusted", pa.bool_())]
        + [(name, pa.int64()) for name in whole]
        + [(name, pa.float64()) for name in _NUMBERS]
    )
    return pa.Table.from_pylist(found, schema=schema)


def _effect(outcome: str, members: list[dict[str, Any]], control: list[dict[str, Any]], share: Any) -> dict[str, Any]:
    one, other = _arm(outcome, members), _arm(outcome, control)
    row: dict[str, Any] = {
        "treated": one.customers,
        "control": other.customers,
        "is_complete": all(r["is_complete"] for r in (*members, *control)),
        "is_adjusted": False,
    }
    if share is not None and 0 < share < 1 and one.customers + other.customers > 0:
        row["sample_ratio_p_value"] = sample_ratio_p_value(one.customers, other.customers, float(share))
    buyers, of_unknown_cost = (
        sum(r[name] for r in (*members, *control)) for name in ("buyers", "buyers_of_unknown_cost")
    )
    if outcome == "margin" and 0 < buyers == of_unknown_cost:
        return row | {"reason": "the costs of the goods sold are not known"}
    if one.customers == 0:
        return row | {"reason": "nobody was treated: everybody was held back"}
    try:
        if outcome in RATES:
            effect = difference_of_rates(one, other)
        elif load_settings().lift_adjusted:
            effect, row["is_adjusted"] = adjusted_difference(one, other), True
        else:
            effect = difference_of_means(one, other)
        row["minimum_detectable_difference"] = minimum_detectable_difference(one, other)
    except InputError as error:
        return row | {"reason": str(error)}
    return row | _shown(effect) | {"value_treated": one.mean, "value_control": other.mean}


def _arm(outcome: str, rows: list[dict[str, Any]]) -> Arm:
    total = _EMPTY
    for r in rows:
        sums = (f"{outcome}_total", f"{outcome}_squares", "past_total", "past_squares", f"{outcome}_products")
        total = total.plus(Arm(r["customers"], *(Fraction(r[name]) for name in sums)))
    return total


def _shown(effect: Effect) -> dict[str, float]:
    return {
        "difference": effect.difference,
        "difference_low": effect.low,
        "difference_high": effect.high,
        "p_value": effect.p_value,
        "variance_kept": effect.variance_kept,
    }


def loyalty(strata: Any) -> Any:
    """Table of what loyalty actions brought: a row per comparison and horizon, from the sums by stratum.

    Nulls and the reason where there is too little.
    """
    import pyarrow as pa

    columns = list(strata.columns)
    sides: dict[tuple[str, int], dict[str, dict[bool, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for row in strata.order("comparison, horizon_months, stratum, is_treated").fetchall():
        named = dict(zip(columns, row, strict=True))
        sides[named["comparison"], named["horizon_months"]][named["stratum"]][named["is_treated"]] = named
    found = [
        {"comparison": comparison, "horizon_months": months, **_return(list(sides[comparison, months].values()))}
        for comparison in COMPARISONS
        for months in HORIZONS
    ]
    whole = ("horizon_months", "members", "members_compared", "compared_with")
    numbers = (
        "margin_per_member", "margin_per_compared", "margin_gain", "margin_gain_low", "margin_gain_high", "p_value",
        "cost_per_member", "roi", "roi_low", "roi_high",
    )  # fmt: skip
    schema = pa.schema(
        [(name, pa.string()) for name in ("comparison", "reason")]
        + [(name, pa.int64()) for name in whole]
        + [(name, pa.float64()) for name in numbers]
    )
    return pa.Table.from_pylist(found, schema=schema)


def _return(strata: list[dict[bool, dict[str, Any]]]) -> dict[str, Any]:
    """``strata``: by whether treated, the sums of each stratum."""
    row: dict[str, Any] = {"members": sum(s[True]["customers"] for s in strata if True in s)}
    both = [
        (s[True], s[False])
        for s in strata
        if len(s) == len((True, False)) and min(r["customers"] for r in s.values()) > 1
    ]
    if (
        sum(r["orders"] for pair in both for r in pair)
        > 0
        == sum(r["orders_of_known_cost"] for pair in both for r in pair)
    ):
        return row | {"reason": "the costs of the goods sold are not known"}
    try:
        margin = matched_difference([(_sums(a, "margin"), _sums(b, "margin")) for a, b in both])
    except InputError as error:
        return row | {"reason": str(error)}
    effect = margin.effect
    # in the mix of the members compared, as the margins are
    cost = float(
        sum(Fraction(a["cost_total"]) - a["customers"] * Fraction(b["cost_total"]) / b["customers"] for a, b in both)
        / margin.treated
    )
    row |= {
        "members_compared": margin.treated,
        "compared_with": margin.control,
        "margin_per_member": margin.value_treated,
        "margin_per_compared": margin.value_control,
        "margin_gain": effect.difference,
        "margin_gain_low": effect.low,
        "margin_gain_high": effect.high,
        "p_value": effect.p_value,
        "cost_per_member": cost,
    }
    if cost <= 0:
        return row | {"reason": "no cost of loyalty campaigns beyond that of those compared with"}
    gains = {"roi": effect.difference, "roi_low": effect.low, "roi_high": effect.high}
    return row | {name: (gain - cost) / cost for name, gain in gains.items()}


def _sums(row: dict[str, Any], outcome: str) -> Arm:
    return Arm(row["customers"], Fraction(row[f"{outcome}_total"]), Fraction(row[f"{outcome}_squares"]))
