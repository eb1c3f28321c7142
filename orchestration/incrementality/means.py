"""Differences of two means, plain and adjusted by what was before."""

from math import sqrt

from orchestration.incrementality.arms import CONFIDENCE, Arm, Effect, InputError


def difference_of_means(treated: Arm, control: Arm) -> Effect:
    """Difference of two independent means with Welch's interval and test (unequal variances)."""
    return _welch(treated, control, 0.0)


def adjusted_difference(treated: Arm, control: Arm) -> Effect:
    """The same after CUPED (Deng, Xu, Kohavi and Walker 2013): y less theta times x, theta fitted within the arms.

    x is from before the test, so it differs between the arms by chance only, and taking its part out of y leaves the
    expected difference as it is and its variance times 1 - correlation squared.
    """
    for arm in (treated, control):
        _enough(arm)
    free1, free2 = treated.customers - 1, control.customers - 1
    variance = free1 * treated.past_variance + free2 * control.past_variance
    covariance = free1 * treated.covariance + free2 * control.covariance
    return _welch(treated, control, covariance / variance if variance > 0 else 0.0)


def _welch(treated: Arm, control: Arm, theta: float) -> Effect:
    from scipy.special import stdtr, stdtrit

    errors, plain = [], []
    for arm in (treated, control):
        _enough(arm)
        kept = arm.variance - 2 * theta * arm.covariance + theta * theta * arm.past_variance
        errors.append(max(kept, 0.0) / arm.customers)
        plain.append(arm.variance / arm.customers)
    difference = treated.mean - control.mean - theta * (treated.past_mean - control.past_mean)
    error = sum(errors)
    if error == 0:
        return Effect(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    freedom = error**2 / (errors[0] ** 2 / (treated.customers - 1) + errors[1] ** 2 / (control.customers - 1))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * sqrt(error)
    p_value = 2 * float(stdtr(freedom, -abs(difference) / sqrt(error)))
    return Effect(difference, difference - half, difference + half, p_value, error / sum(plain))


def _enough(arm: Arm) -> None:
    if arm.customers < 2:
        raise InputError(f"An arm of {arm.customers} has no variance; two customers are the least.")
