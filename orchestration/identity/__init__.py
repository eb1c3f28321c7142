"""The unique customer repository (référentiel client unique): which source records are one person, and why."""

from orchestration.identity.decisions import Decision, DecisionError, decisions_file, in_force, read_decisions
from orchestration.identity.model import ModelError
from orchestration.identity.normalise import phone as phone_number
from orchestration.identity.registry import Outcome, build
from orchestration.identity.ruleset import RulesError, load_rules
from orchestration.identity.training import train

__all__ = [
    "Decision",
    "DecisionError",
    "ModelError",
    "Outcome",
    "RulesError",
    "build",
    "decisions_file",
    "in_force",
    "load_rules",
    "phone_number",
    "read_decisions",
    "train",
]
