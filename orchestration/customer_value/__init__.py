"""Predicted customer value: when customers come back, what they spend, and how sure that is.

Pure numpy and scipy, usable alone: arrays in, arrays out; no Dagster, no database. Times are in one unit throughout (days in
the mart; CDNOW's published parameters are in weeks). A customer is ``frequency`` (repeat order days), ``recency`` (first to last
order day), ``age`` (first order day to now, Fader and Hardie's T) and ``monetary`` (mean net value of the repeat order days).
"""

from orchestration.customer_value.beta_geometric import BG_NBD, MBG_NBD
from orchestration.customer_value.cells import Cells, InputError
from orchestration.customer_value.estimate import MODELS, MONTHS, Estimate, Gate, estimate
from orchestration.customer_value.estimation import Fit, Verdict
from orchestration.customer_value.gamma_gamma import GAMMA_GAMMA
from orchestration.customer_value.groups import Groups
from orchestration.customer_value.history import OrderDays, Summary
from orchestration.customer_value.pareto import PARETO_NBD
from orchestration.customer_value.purchases import PurchaseModel
from orchestration.customer_value.scoring import Prediction, predict

__all__ = [
    "BG_NBD",
    "GAMMA_GAMMA",
    "MBG_NBD",
    "MODELS",
    "MONTHS",
    "PARETO_NBD",
    "Cells",
    "Estimate",
    "Fit",
    "Gate",
    "Groups",
    "InputError",
    "OrderDays",
    "Prediction",
    "PurchaseModel",
    "Summary",
    "Verdict",
    "estimate",
    "predict",
]
