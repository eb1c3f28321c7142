"""Restatements: what a release changes in figures that were published before, and how much each cause brought."""

from orchestration.restatements.compare import unexplained
from orchestration.restatements.wording import explain

__all__ = ["explain", "unexplained"]
