"""What the models of when customers order have in common."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from orchestration.customer_value.cells import Cells, Floats
from orchestration.customer_value.estimation import Fit

#: Fewer repeat customers than this say nothing about a distribution over customers.
FEWEST_REPEATERS = 10

#: Customers of the rough search: a fiftieth of a million find the place to start from, and the curvature there.
ROUGH = 20_000


@dataclass(frozen=True)
class Lives:
    """Customers alive now, drawn: orders per unit of time, hazard of leaving, and whether leaving comes with an order."""

    rate: Floats
    hazard: Floats
    leaves_ordering: bool


class PurchaseModel(Protocol):
    """One model of when customers order and when they leave.

    All methods take parameters ``theta`` and arrays of one shape, of customers or of cells; ``frequency``, ``recency``, ``age``
    as in the package's description, times in the unit of the fit.
    """

    @property
    def name(self) -> str:
        """As in the mart."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """In the order of ``theta``."""

    def fit(self, cells: Cells, near: Fit | None = None) -> Fit:
        """Maximum likelihood; ``near``, an identified fit to customers much like these, saves most of the search."""

    def p_alive(self, theta: Floats, frequency: Floats, recency: Floats, age: Floats) -> Floats:
        """Probability that the customer has not left."""

    def orders_if_alive(self, theta: Floats, frequency: Floats, age: Floats, horizon: Floats | float) -> Floats:
        """Expected orders within ``horizon`` from now of a customer who has not left."""

    def wait_if_alive(
        self, theta: Floats, frequency: Floats, age: Floats, probability: Floats, longest: float
    ) -> Floats:
        """Time within which a customer who has not left orders with ``probability``; infinite beyond ``longest``."""

    def draw_lives(self, thetas: Floats, frequency: float, age: Floats | float, rng: np.random.Generator) -> Lives:
        """One customer alive now with that history, for each row of ``thetas``; ages as a column share these draws."""


def lacking(cells: Cells) -> str | None:
    """Why there is nothing to fit on; None where there is."""
    if not len(cells):
        return "there are no customers"
    if cells.repeaters < FEWEST_REPEATERS:
        return (
            f"{cells.repeaters:.0f} of {cells.customers:.0f} customers ordered again; {FEWEST_REPEATERS} are the least"
        )
    if cells.repeaters == cells.customers and len(cells) == 1:
        return "all customers have the same history"
    return None
