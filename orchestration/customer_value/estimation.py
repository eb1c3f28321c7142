"""Maximum likelihood with bounds and restarts, and a verdict: what the data do and do not say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from orchestration.customer_value.cells import Floats

#: Parameters on the log scale -> log-likelihood per customer and its gradient.
Objective = Callable[[Floats], tuple[float, Floats]]

Status = Literal["identified", "not_identified", "too_little_data"]

#: A standard error of 2 on the log scale says no more than "between a fiftieth and fifty times".
LOOSEST = 2.0


@dataclass(frozen=True)
class Verdict:
    """Whether a fit may be used, and why not, as a sentence."""

    status: Status
    reason: str = ""

    @property
    def usable(self) -> bool:
        """True when the parameters are identified."""
        return self.status == "identified"


@dataclass(frozen=True)
class Fit:
    """Parameters with their standard errors (observed information), or why there are none.

    ``covariance`` is that of the logarithms of the parameters, in the order of ``parameters``; on that scale the
    likelihood is closest to a parabola. ``log_likelihood`` is the sum over customers.
    """

    model: str
    parameters: Mapping[str, float]
    standard_errors: Mapping[str, float]
    covariance: Floats = field(repr=False)
    log_likelihood: float
    customers: int
    verdict: Verdict

    @property
    def theta(self) -> Floats:
        """The parameters as an array."""
        return np.array(list(self.parameters.values()))

    def draws(self, number: int, rng: np.random.Generator) -> Floats:
        """``number`` parameter vectors (number, parameters) of the approximate posterior: normal on the log scale."""
        scale = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(len(self.covariance)))
        z = rng.standard_normal((number, len(self.covariance)))
        result: Floats = np.exp(np.log(self.theta) + np.clip(z, -3, 3) @ scale.T)
        return result


def refused(model: str, names: Sequence[str], customers: float, reason: str) -> Fit:
    """No fit: too little to fit on."""
    missing = dict.fromkeys(names, np.nan)
    nothing = np.full((len(names), len(names)), np.nan)
    return Fit(model, missing, missing, nothing, np.nan, int(customers), Verdict("too_little_data", reason))


def maximise(
    model: str,
    names: Sequence[str],
    objective: Objective,
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
    customers: float,
    rough: Objective | None = None,
    near: Fit | None = None,
) -> Fit:
    """The maximum of ``objective``, standard errors and a verdict.

    ``starts`` and ``bounds`` are of the parameters themselves. ``near`` is an identified fit of the same model to customers much like
    these: where it is given, the search begins and mostly ends there. Else ``rough``, the likelihood of a part of the customers, is
    searched from every start where it is given, and ``objective`` from the best point found.
    """
    from threadpoolctl import threadpool_limits

    limits = np.log(np.array(bounds))
    points = [np.clip(np.log(np.array(s)), limits[:, 0] + 0.1, limits[:, 1] - 0.1) for s in starts]
    with threadpool_limits(1, "blas"):
        best = _search(objective, points, limits, rough, near)
        information = _information(objective, best)
        polished = _newton(objective, best, information, limits, steps=5)
        best = best if polished is None else polished
    value, gradient = objective(best)
    covariance, verdict = _judge(names, best, gradient, information, limits, customers)
    theta = np.exp(best)
    errors = theta * np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), np.nan))
    return Fit(
        model=model,
        parameters=dict(zip(names, theta.tolist(), strict=True)),
        standard_errors=dict(zip(names, errors.tolist(), strict=True)),
        covariance=covariance,
        log_likelihood=value * customers,
        customers=int(customers),
        verdict=verdict,
    )


def _search(
    objective: Objective, points: Sequence[Floats], limits: Floats, rough: Objective | None, near: Fit | None
) -> Floats:
    # the curvature of a part is that of the whole to a few per cent: each step gains more than a digit
    if near is not None:
        start = np.log(near.theta)
        information: Floats = np.asarray(np.linalg.inv(near.covariance * near.customers), np.float64)
        found = _newton(objective, start, information, limits, steps=12)
        if found is not None:
            return found
    elif rough is not None:
        start = _search(rough, points, limits, None, None)
        found = _newton(objective, start, _information(rough, start), limits, steps=12)
        if found is not None:
            return found
        points = [start]
    return max((_climb(objective, p, limits) for p in points), key=lambda p: objective(p)[0])


def _climb(objective: Objective, start: Floats, limits: Floats) -> Floats:
    from scipy.optimize import minimize

    def negative(point: Floats) -> tuple[float, Floats]:
        value, gradient = objective(point)
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            return 1e10, np.zeros_like(point)
        return -value, -gradient

    # 20 pairs of memory on 3 or 4 parameters: the curvature is known after a few steps
    found = minimize(
        negative, start, jac=True, method="L-BFGS-B", bounds=limits,
        options={"maxcor": 20, "ftol": 1e-13, "gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    point: Floats = found.x
    return point


def _information(objective: Objective, point: Floats, step: float = 1e-4) -> Floats:
    """Observed information per customer: central differences of the analytic gradient, on the log scale."""
    size = len(point)
    rows = np.empty((size, size))
    for i in range(size):
        shift = np.zeros(size)
        shift[i] = step
        rows[i] = (objective(point - shift)[1] - objective(point + shift)[1]) / (2 * step)
    return (rows + rows.T) / 2


def _newton(objective: Objective, point: Floats, information: Floats, limits: Floats, steps: int) -> Floats | None:
    """Newton's method with one information matrix; None where it leads out of the bounds or does not arrive."""
    try:
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        return None
    for _ in range(steps):
        step = np.linalg.solve(information, objective(point)[1])
        point = point + step
        if (point <= limits[:, 0]).any() or (point >= limits[:, 1]).any() or not np.abs(step).max() < 1:
            return None
        if np.abs(step).max() < 1e-7:
            return point
    return None


def _judge(
    names: Sequence[str], point: Floats, gradient: Floats, information: Floats, limits: Floats, customers: float
) -> tuple[Floats, Verdict]:
    """Covariance of the log parameters, and whether the data determine them."""
    unknown = np.full_like(information, np.nan)
    at_bound = [n for n, v, (low, high) in zip(names, point, limits, strict=True) if v < low + 0.01 or v > high - 0.01]
    if at_bound:
        sentence = f"the likelihood is still rising where {', '.join(at_bound)} reaches the bound of the search"
        return unknown, Verdict("not_identified", sentence)
    if not np.isfinite(gradient).all() or np.abs(gradient).max() > 1e-4:
        return unknown, Verdict("not_identified", "the search for the maximum did not converge")
    try:
        np.linalg.cholesky(information)
        covariance: Floats = np.asarray(np.linalg.inv(information) / customers, np.float64)
    except np.linalg.LinAlgError:
        return unknown, Verdict("not_identified", "the likelihood is flat in at least one direction")
    deviations = np.sqrt(np.diag(covariance))
    loose = [n for n, d in zip(names, deviations, strict=True) if not d <= LOOSEST]
    if loose:
        sentence = f"the data leave {', '.join(loose)} open by more than a factor of fifty either way"
        return covariance, Verdict("not_identified", sentence)
    return covariance, Verdict("identified")
