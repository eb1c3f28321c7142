"""The command line ``fidelis``."""

from orchestration.cli.app import app

__all__ = ["app"]
