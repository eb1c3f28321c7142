"""Was the test drawn as planned, and what could it have seen."""

from math import sqrt

from orchestration.incrementality.arms import CONFIDENCE, Arm, InputError

#: Probability with which the smallest detectable difference is found.
POWER = 0.80


def sample_ratio_p_value(treated: int, control: int, control_share: float) -> float:
    """p-value of the chi-square test that the arms have the planned shares; below 0.001 the assignment is not to be trusted."""
    from scipy.special import chdtrc

    if not 0 < control_share < 1:
        raise InputError(f"A planned share of control lies between 0 and 1, not at {control_share}.")
    n = treated + control
    expected = n * control_share
    return float(chdtrc(1, (control - expected) ** 2 / (n * control_share * (1 - control_share))))


def minimum_detectable_difference(treated: Arm, control: Arm) -> float:
    """Smallest true difference that this test finds with 80 % power at 5 %, at the control's variance."""
    from scipy.special import ndtri

    if min(treated.customers, control.customers) < 2:
        raise InputError("A test needs two customers in each arm.")
    z = float(ndtri(0.5 + CONFIDENCE / 2) + ndtri(POWER))
    return z * sqrt(control.variance * (1 / treated.customers + 1 / control.customers))
