"""The unique customer repository (référentiel client unique): which source records are one person, and why."""

from orchestration.identity.decisions import Decision, DecisionError, in_force, read_decisions
from orchestration.identity.registry import Outcome, build
from orchestration.identity.ruleset import RulesError, load_rules

__all__ = ["Decision", "DecisionError", "Outcome", "RulesError", "build", "in_force", "load_rules", "read_decisions"]
