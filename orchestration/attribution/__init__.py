"""Data-driven attribution: what share of the orders would be lost without a channel."""

from orchestration.attribution.markov import END, ORDER, START, removal_effects, removal_effects_table

__all__ = ["END", "ORDER", "START", "removal_effects", "removal_effects_table"]
