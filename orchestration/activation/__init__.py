"""Activation: audiences declared in files, exported each night through one gate, and what was planned with them."""

from orchestration.activation.audience import Audience, AudienceError, ExportError, audience_files, load_audience
from orchestration.activation.exports import Export, Judged, export, last_export, look
from orchestration.activation.gate import REASONS

__all__ = [
    "REASONS",
    "Audience",
    "AudienceError",
    "Export",
    "ExportError",
    "Judged",
    "audience_files",
    "export",
    "last_export",
    "load_audience",
    "look",
]
