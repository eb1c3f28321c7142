"""Would it have been right? Fit before a cut-off, predict after it, compare with what came, and with naive predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from orchestration.customer_value.assumptions import YEAR, ranks
from orchestration.customer_value.cells import Floats, Ints
from orchestration.customer_value.estimation import Fit
from orchestration.customer_value.groups import Groups, fit_groups, parts, predict_groups
from orchestration.customer_value.history import DAYS_PER_MONTH, OrderDays
from orchestration.customer_value.purchases import PurchaseModel
from orchestration.customer_value.scoring import COVERAGE, Prediction, daily_rate

#: Horizons tried, longest first; the longest that leaves room for three cut-offs is taken.
HORIZONS = (12, 6, 3)
CUTOFFS = 3
MONTHS_BETWEEN = 3
COVERAGE_LIMITS = (0.70, 0.90)
#: More customers than this are thinned for the back-test: its figures are then exact to a third of a per cent.
MOST_CUSTOMERS = 100_000
#: Groups of customers by predicted value, in which predictions are held against what came. Equal predictions are in the same one.
DECILES = 10
#: Futures per point of the grid: errors of a point's quantiles cancel out over the points, whose mean is all that is looked at.
DRAWS = 500


@dataclass(frozen=True)
class Row:
    """One cut-off and model. Amounts are per customer, in the unit of the values; nan, with a reason, where there are none.

    ``mae_naive`` and ``rmse_naive`` are the smaller of the two naive predictions', ``spearman_naive`` the larger. ``coverage_80`` counts a
    hit on "no order at all" as 80 % / P(no order) where that is more than 80 % probable; ``hits_80`` as a whole one.
    """

    cutoff: int
    horizon_months: int
    model: str
    customers: int
    reason: str = ""
    mae: float = np.nan
    mae_carry_forward: float = np.nan
    mae_average: float = np.nan
    rmse: float = np.nan
    rmse_carry_forward: float = np.nan
    rmse_average: float = np.nan
    spearman: float = np.nan
    spearman_carry_forward: float = np.nan
    spearman_average: float = np.nan
    bias: float = np.nan
    coverage_80: float = np.nan
    hits_80: float = np.nan
    top_decile_lift: float = np.nan
    #: Customers, and their mean predicted and actual value, by decile of the prediction, the smallest first; nan where a decile is empty.
    decile_customers: tuple[int, ...] = ()
    decile_predicted: tuple[float, ...] = ()
    decile_actual: tuple[float, ...] = ()

    @property
    def mae_naive(self) -> float:
        """Of the better naive prediction."""
        return min(self.mae_carry_forward, self.mae_average)

    @property
    def rmse_naive(self) -> float:
        """Of the better naive prediction."""
        return min(self.rmse_carry_forward, self.rmse_average)

    @property
    def spearman_naive(self) -> float:
        """Of the better naive prediction."""
        return max(self.spearman_carry_forward, self.spearman_average)


#: The figures of a row.
FIGURES = tuple(f.name for f in fields(Row) if f.type is float)


def plan(first_day: int, day: int) -> tuple[int, list[int]]:
    """Horizon in months and cut-off days, latest first: as many as leave a year before them, up to three."""
    for months in HORIZONS:
        ends = [day - (months + i * MONTHS_BETWEEN) * DAYS_PER_MONTH for i in range(CUTOFFS)]
        cutoffs = [int(np.ceil(e)) for e in ends if np.ceil(e) - first_day >= YEAR]
        if len(cutoffs) == CUTOFFS or (months == HORIZONS[-1]):
            return months, cutoffs
    raise AssertionError("HORIZONS is empty")


def run(
    history: OrderDays, groups: Groups, models: Sequence[PurchaseModel], day: int, annual_rate: float, worth: Floats
) -> list[Row]:
    """Every model at every cut-off. ``worth`` is the value of each order day (net or margin), what the prediction is of."""
    if not len(history):
        return []
    months, cutoffs = plan(history.first_day, day)
    step = -(-history.size // MOST_CUSTOMERS)
    kept = np.arange(history.size) % step == 0
    history, worth = history.only(kept), worth[kept[history.customer]]
    rows: list[Row] = []
    # who is refused at one cut-off can no longer be chosen: the search for what is not there is the longest
    refused: dict[str, str] = {}
    # the customers of one cut-off are nearly those of the next
    found: dict[str, Fit] = {}
    spend = None
    for cutoff in cutoffs:
        naive = _naive(history, worth, cutoff, months)
        end = cutoff + months * DAYS_PER_MONTH
        actual = history.sums(worth, cutoff, end, daily_rate=daily_rate(annual_rate))
        seen = history.seen(cutoff)
        customers = seen.summary(cutoff)
        whole, *apart = parts(seen, customers, groups, worth[history.day <= cutoff], spend)
        spend = whole.spend if whole.spend.verdict.usable else None
        for model in models:
            reason = refused.get(model.name)
            if reason is None:
                fits = fit_groups(model, whole, *apart, near=found.get(model.name))
                reason = fits.reason
                if reason:
                    refused[model.name] = f"not fitted here, as the model was refused at a later cut-off ({reason})"
            if reason:
                rows.append(Row(cutoff, months, model.name, len(customers), reason))
                continue
            found[model.name] = fits.groups[0].orders
            prediction = predict_groups(fits, customers, (months,), annual_rate, DRAWS)
            compared = [n[customers.customer] for n in naive]
            rows.append(_row(cutoff, months, model.name, prediction, actual[customers.customer], compared))
    return rows


def _naive(history: OrderDays, worth: Floats, cutoff: int, months: int) -> tuple[Floats, Floats]:
    """By customer number: the equal period before; and the average month since the first order x months x retention.

    Retention: of the customers who had ordered before the last equal period, the share that ordered in it.
    """
    span = months * DAYS_PER_MONTH
    before = history.sums(worth, cutoff - span, cutoff)
    customers = history.summary(cutoff)
    lasting = np.zeros(history.size)
    ever = history.sums(worth, history.first_day - 1, cutoff)[customers.customer]
    old = customers.age >= span
    active = customers.age - customers.recency < span
    retention = float(active[old].mean()) if old.any() else 1.0
    lasting[customers.customer] = ever / np.maximum(customers.age / DAYS_PER_MONTH, 1.0) * months * retention
    return before, lasting


def _row(cutoff: int, months: int, model: str, prediction: Prediction, actual: Floats, naive: Sequence[Floats]) -> Row:
    value, low, high, none = (v[0] for v in (prediction.value, prediction.low, prediction.high, prediction.none))
    # half a cent: intervals are published in cents
    hit = (actual >= low - 0.005) & (actual <= high + 0.005)
    certain = none > COVERAGE
    fair = np.where(certain & hit, COVERAGE / np.maximum(none, COVERAGE), hit)
    total = float(actual.sum())
    decile = np.minimum((ranks(value) - 0.5) * DECILES // len(value), DECILES - 1).astype(np.int64)
    size = np.bincount(decile, minlength=DECILES)
    means = [_means(decile, size, of) for of in (value, actual)]
    top = np.argsort(-value, kind="stable")[: max(len(value) // 10, 1)]
    return Row(
        cutoff=cutoff,
        horizon_months=months,
        model=model,
        customers=len(actual),
        mae=_mae(value, actual),
        mae_carry_forward=_mae(naive[0], actual),
        mae_average=_mae(naive[1], actual),
        rmse=_rmse(value, actual),
        rmse_carry_forward=_rmse(naive[0], actual),
        rmse_average=_rmse(naive[1], actual),
        spearman=_spearman(value, actual),
        spearman_carry_forward=_spearman(naive[0], actual),
        spearman_average=_spearman(naive[1], actual),
        bias=float(value.sum()) / total - 1 if total > 0 else np.nan,
        coverage_80=float(fair.mean()),
        hits_80=float(hit.mean()),
        top_decile_lift=float(actual[top].mean()) / float(actual.mean()) if total > 0 else np.nan,
        decile_customers=tuple(size.tolist()),
        decile_predicted=means[0],
        decile_actual=means[1],
    )


def _means(decile: Ints, size: Ints, of: Floats) -> tuple[float, ...]:
    sums = np.bincount(decile, of, DECILES)
    return tuple(np.divide(sums, size, out=np.full(DECILES, np.nan), where=size > 0).tolist())


def _mae(predicted: Floats, actual: Floats) -> float:
    return float(np.abs(predicted - actual).mean())


def _rmse(predicted: Floats, actual: Floats) -> float:
    return float(np.sqrt(np.square(predicted - actual).mean()))


def _spearman(predicted: Floats, actual: Floats) -> float:
    if np.ptp(predicted) == 0 or np.ptp(actual) == 0:
        return np.nan
    return float(np.corrcoef(ranks(predicted), ranks(actual))[0, 1])
