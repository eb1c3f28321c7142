"""What all commands say and show: tables for people, tab-separated lines for programs, one sentence per error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from orchestration.settings import Settings, load_settings

console = Console()
errors = Console(stderr=True)


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises what this returns."""
    errors.print(message, style="red", markup=False, highlight=False)
    return typer.Exit(1)


def settings_or_exit() -> Settings:
    """The settings; a wrong one is one sentence."""
    try:
        return load_settings()
    except ValueError as error:
        raise fail(f"A setting is wrong: {error}") from error


def say(sentence: str) -> None:
    """Print one sentence as it is."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def show(names: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table on a terminal; lines with tabs elsewhere, so that other programs can read them."""
    texts = [["" if value is None else str(value) for value in values] for values in rows]
    if not sys.stdout.isatty():
        if title:
            typer.echo(f"{title}:")
        for values in [list(names), *texts]:
            typer.echo("\t".join(text.replace("\t", " ").replace("\n", " ") for text in values))
        return
    table = Table(*names, title=title, title_justify="left")
    for values in texts:
        table.add_row(*(text.replace("[", "\\[") for text in values))
    console.print(table)
