"""One call from order days to predictions: assumptions, back-test, choice of the model, fit, score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.customer_value import backtest
from orchestration.customer_value.assumptions import Finding, findings
from orchestration.customer_value.beta_geometric import BG_NBD, MBG_NBD
from orchestration.customer_value.cells import Floats
from orchestration.customer_value.groups import Fits, Groups, fit_groups, parts, predict_groups
from orchestration.customer_value.history import OrderDays, Summary
from orchestration.customer_value.pareto import PARETO_NBD
from orchestration.customer_value.purchases import PurchaseModel
from orchestration.customer_value.scoring import Prediction

#: Horizons of the mart, in months.
MONTHS = (12, 24, 36)

#: The models of when customers order, by name.
MODELS: dict[str, PurchaseModel] = {m.name: m for m in (BG_NBD, MBG_NBD, PARETO_NBD)}


@dataclass(frozen=True)
class Gate:
    """Which model may be published; none, and why, where no model deserves it.

    ``can_judge`` is False where there is no history to judge by: then nothing is known against an older version either.
    """

    model: PurchaseModel | None
    reason: str
    can_judge: bool


@dataclass(frozen=True)
class Estimate:
    """Everything found. ``prediction`` is None where the gate is closed; rows of ``customers`` and its arrays agree."""

    day: int
    customers: Summary
    findings: Sequence[Finding]
    backtest: Sequence[backtest.Row]
    gate: Gate
    fits: Fits | None
    prediction: Prediction | None


def estimate(history: OrderDays, worth: Floats, groups: Groups, day: int, annual_rate: float) -> Estimate:
    """Customer values as of ``day``. ``worth`` is what an order day is worth, net or margin; nan where unknown."""
    customers = history.summary(day)
    found = findings(history, customers, day)
    rows = backtest.run(history, groups, list(MODELS.values()), day, annual_rate, worth)
    gate = choose(rows)
    fits = prediction = None
    if gate.model is not None:
        seen = history.seen(day)
        fits = fit_groups(gate.model, *parts(seen, customers, groups, worth[history.day <= day]))
        if fits.reason:
            gate = Gate(None, fits.reason, can_judge=True)
        else:
            prediction = predict_groups(fits, customers, MONTHS, annual_rate)
    return Estimate(day, customers, found, rows, gate, fits, prediction)


def choose(rows: Sequence[backtest.Row]) -> Gate:
    """The model with the smallest error over all cut-offs, if it deserves to be published.

    The prediction is a mean, and only the squared error is smallest for the mean; the absolute one is for the median, which is 0
    for most customers. So the root mean squared error ranks the models; it and Spearman's correlation must beat both naive ones.
    """
    if not rows:
        return Gate(
            None, "the history is too short for a back-test: a year before the cut-off and three months after it", False
        )
    judged = [r for r in rows if not r.reason]
    complete = [
        n for n in MODELS if all(not r.reason for r in rows if r.model == n) and any(r.model == n for r in rows)
    ]
    if not complete:
        reasons = "; ".join(sorted({r.reason for r in rows if r.reason}))
        return Gate(None, f"no model could be fitted at every cut-off: {reasons}", can_judge=False)
    best = min(complete, key=lambda n: mean_of(judged, n, "rmse"))
    failed = []
    for metric, better in (("rmse", np.less), ("spearman", np.greater)):
        own, naive = mean_of(judged, best, metric), mean_of(judged, best, f"{metric}_naive")
        if not better(own, naive):
            failed.append(f"{metric} {own:.3f} is no better than the naive {naive:.3f}")
    coverage = mean_of(judged, best, "coverage_80")
    low, high = backtest.COVERAGE_LIMITS
    if not low <= coverage <= high:
        failed.append(f"the 80 % interval held {coverage:.0%} of the values, outside {low:.0%} to {high:.0%}")
    if failed:
        return Gate(None, f"{best} was best in the back-test, but {' and '.join(failed)}", can_judge=True)
    return Gate(MODELS[best], f"{best} was best in the back-test and beat the naive predictions", can_judge=True)


def mean_of(rows: Sequence[backtest.Row], model: str, metric: str) -> float:
    """Mean of a figure over the cut-offs of a model."""
    return float(np.mean([getattr(r, metric) for r in rows if r.model == model]))
