"""What a campaign caused: treated against held back, with intervals; and who is held back from the next one.

Pure scipy, usable alone; no Dagster. An arm of a test is its customers and exact sums over them
(``Arm``); an ``Effect`` is a difference between two arms with its 95 % interval.
"""

from orchestration.incrementality.arms import Arm, Effect, InputError
from orchestration.incrementality.assignment import Assigned, assign, held_out_sql, is_held_out
from orchestration.incrementality.design import minimum_detectable_difference, sample_ratio_p_value
from orchestration.incrementality.draw import CUSTOMERS, Drawn, draw
from orchestration.incrementality.means import adjusted_difference, difference_of_means
from orchestration.incrementality.rates import difference_of_rates, wilson_interval
from orchestration.incrementality.strata import Matched, matched_difference

__all__ = [
    "CUSTOMERS",
    "Arm",
    "Assigned",
    "Drawn",
    "Effect",
    "InputError",
    "Matched",
    "adjusted_difference",
    "assign",
    "difference_of_means",
    "difference_of_rates",
    "draw",
    "held_out_sql",
    "is_held_out",
    "matched_difference",
    "minimum_detectable_difference",
    "sample_ratio_p_value",
    "wilson_interval",
]
