"""``fidelis audience``: the declared audiences, what the gate says of each, and their export."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.terminal import fail, say, settings_or_exit, show
from orchestration.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(no_args_is_help=True, help="Audiences for marketing tools, declared in files.")

_Name = Annotated[str, typer.Argument(help="Name of the audience: its file without .yml.")]


@app.command("list")
def list_all() -> None:
    """The declared audiences and their last exports."""
    from orchestration.activation import AudienceError, last_export, load_audience

    settings = settings_or_exit()
    rows = []
    for name, file in _files(settings).items():
        try:
            audience = load_audience(file)
        except AudienceError as error:
            raise fail(str(error)) from error
        last = last_export(settings, name) or {}
        counted = last.get("rows", {})
        place = audience.place or str(settings.activation_dir / name)
        about = (name, audience.purpose, audience.medium, audience.campaign, place)
        rows.append(
            (*about, last.get("export_id", "never"), *(counted.get(s) for s in ("full", "added", "removed", "changed")))
        )
    show(
        ("audience", "purpose", "medium", "campaign", "to", "last export", "in it", "added", "removed", "changed"), rows
    )


@app.command("show")
def show_one(name: _Name) -> None:
    """What an export would hold now, and why the others are not in it. Writes nothing, names nobody."""
    from orchestration.activation import REASONS, AudienceError, ExportError, load_audience, look
    from orchestration.releases import current

    settings = settings_or_exit()
    file = _file(settings, name)
    release = current(settings)
    if release is None:
        raise fail("No release yet: `fidelis run` makes the first.")
    try:
        judged = look(settings, load_audience(file), release)
    except (AudienceError, ExportError) as error:
        raise fail(str(error)) from error
    say(
        f"{judged.chosen} customers meet the condition, {judged.allowed} would be in the file (release {release.release_id})."
    )
    rows = [(r, REASONS[r], n, judged.all_reasons[r]) for r, n in judged.reasons.items() if judged.all_reasons[r]]
    show(("reason", "who is not in it", "counted once", "for whom it holds"), rows)


@app.command("export")
def export_now(
    name: Annotated[str | None, typer.Argument(help="One audience; all unless said otherwise.")] = None,
) -> None:
    """Export from the current release, as each night does. Again without a new release, nothing changes."""
    from orchestration import ledger
    from orchestration.activation import AudienceError, ExportError, export, load_audience
    from orchestration.releases import current

    settings = settings_or_exit()
    files = _files(settings) if name is None else {name: _file(settings, name)}
    failures = []
    with ledger.writer_lock(settings):
        release = current(settings)
        if release is None:
            raise fail("No release yet: `fidelis run` makes the first.")
        for each, file in files.items():
            try:
                done = export(settings, load_audience(file), release)
            except (AudienceError, ExportError) as error:
                failures.append(f"{each}: {error}")
                continue
            rows = done.manifest["rows"]
            said = ", ".join(f"{rows[kind]} {kind}" for kind in ("added", "removed", "changed"))
            state = f"{rows['full']} in it ({said})" if done.is_new else f"{rows['full']} in it, no difference"
            say(f"{each}: {state}; {done.manifest['destination'] or done.folder}, export {done.manifest['export_id']}")
    if failures:
        raise fail("\n".join(failures))


def _files(settings: Settings) -> "dict[str, Path]":
    from orchestration.activation import AudienceError, audience_files

    if settings.audiences is None:
        raise fail(
            "FIDELIS_AUDIENCES names no folder, so nothing is exported; `audiences` is the folder of the examples."
        )
    try:
        return audience_files(settings.audiences)
    except AudienceError as error:
        raise fail(str(error)) from error


def _file(settings: Settings, name: str) -> "Path":
    files = _files(settings)
    if name not in files:
        raise fail(f"there is no audience {name}; declared are: {', '.join(files) or 'none'}")
    return files[name]
