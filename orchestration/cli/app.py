"""``fidelis``: the command line. Each command is a few lines over the packages."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from orchestration.cli import audience, identity
from orchestration.cli.quarantine import quarantine
from orchestration.cli.terminal import console, errors, fail, say, settings_or_exit, show
from orchestration.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A marketing datamart, built every night from files.",
)
app.add_typer(quarantine, name="quarantine")
app.add_typer(identity.app, name="identity")
app.add_typer(audience.app, name="audience")


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder for the delivered files; its truth/ holds the known results.")],
    customers: Annotated[int, typer.Option(min=1)] = 2000,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])] = datetime(2023, 1, 1),
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])] = datetime(2024, 12, 31),
    seed: int = 7,
    dirt: Annotated[
        float, typer.Option(min=0, max=0.05, help="Share of rows that are broken, late or repeated.")
    ] = 0.0,
) -> None:
    """Write the daily deliveries of a retailer that does not exist, with its true parameters."""
    from orchestration.sample import generate

    with console.status("writing the sample's deliveries"):
        written = generate(out, customers=customers, start=start.date(), end=end.date(), seed=seed, dirt=dirt)
    console.print(f"{sum(written.values()):,} rows of {len(written)} tables in {out}", highlight=False)


@app.command()
def run(
    start: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First delivery day.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last delivery day.")] = None,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="One delivery day.")] = None,
    accept_missing: Annotated[
        bool, typer.Option("--accept-missing", help="A required delivery that is not there was to be empty.")
    ] = False,
    accept_drift: Annotated[
        bool, typer.Option("--accept-drift", help="Deliveries unlike those of past weeks are right as they are.")
    ] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Load all delivered days again and build from nothing.")
    ] = False,
    why: Annotated[str, typer.Option(help="For the ledger of runs: why days are loaded again.")] = "",
) -> None:
    """Load deliveries, build the mart, publish it: the nightly job, now.

    Without a day: every delivery that is new, changed or failed before.
    """
    from orchestration.cli.night import Window, choose_window, run_night
    from orchestration.contracts import ContractError

    settings = settings_or_exit()
    try:
        window = choose_window(
            settings,
            _date(start),
            _date(end),
            _date(day),
            full_refresh=full_refresh,
            accept_missing=accept_missing,
            accept_drift=accept_drift,
            why=why,
        )
    except (ContractError, ValueError) as error:
        raise fail(str(error)) from error
    if window is None:
        console.print("Nothing to do: every delivery is loaded and published as it lies there.")
        return
    assert isinstance(window, Window)
    outcome = run_night(settings, window, console)
    if outcome.published:
        _show_release(settings, outcome.checks)
    for sentence in outcome.failures:
        errors.print(f"- {sentence}", style="red", markup=False, highlight=False)
    if not outcome.published:
        raise fail("No release was published; the previous one, if any, is untouched.")
    if outcome.failures:
        raise fail("The release is published; what came after it failed. `fidelis audience export` exports again.")


def _date(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _show_release(settings: Settings, checks: dict[str, int]) -> None:
    from orchestration import releases
    from orchestration.contracts import absent_tables, load_contracts

    release = releases.current(settings)
    assert release is not None
    console.print(f"Release {release.release_id}, as of {release.as_of_date}", highlight=False, style="bold")
    table = Table()
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name, figures in sorted(release.tables.items()):
        table.add_row(name, f"{int(figures['rows']):,}")
    console.print(table)
    console.print(
        f"Checks: {checks['passed']} passed, {checks['warned']} warned, {checks['failed']} failed.", highlight=False
    )
    absent = absent_tables(load_contracts(settings.contracts))
    if absent:
        console.print(f"Not delivered by this retailer, their marts are empty: {', '.join(absent)}.", highlight=False)
    console.print(f"The mart: {settings.releases_dir / 'current' / 'datamart.duckdb'}", highlight=False, soft_wrap=True)


@app.command()
def status() -> None:
    """The latest release and its age, the last runs, the deliveries and their bad rows."""
    from orchestration.bad_rows import BEFORE, LATEST
    from orchestration.cli.night import deliveries_by_table, notices
    from orchestration.releases import current

    settings = settings_or_exit()
    release = current(settings)
    if release is None:
        console.print("No release yet: `fidelis run` makes the first.")
    else:
        age = datetime.now(release.published_at.tzinfo) - release.published_at
        console.print(
            f"Release {release.release_id} as of {release.as_of_date}, {_age(age.total_seconds())} old", highlight=False
        )
    _show_runs(settings, 5)
    show(
        (
            "table",
            "days failed",
            "days of an older contract",
            "rows in quarantine",
            f"bad rows, last {LATEST} days ({BEFORE} before)",
            "rules broken",
        ),
        deliveries_by_table(settings),
        "Deliveries",
    )
    for sentence in notices(settings):
        console.print(f"- {sentence}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def runs(last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20) -> None:
    """The ledger of runs: who ran which days, why, and what came of it."""
    _show_runs(settings_or_exit(), last)


def _show_runs(settings: Settings, limit: int) -> None:
    from orchestration import ledger

    show(
        ("began (UTC)", "who", "from", "why", "days", "tables", "took", "state", "result"),
        (
            (
                f"{e.began:%Y-%m-%d %H:%M}",
                e.who,
                e.source,
                "; ".join(filter(None, (e.why, e.options))),
                e.days,
                e.tables,
                f"{(e.ended - e.began).total_seconds():.0f} s" if e.ended else "",
                e.state,
                e.result,
            )
            for e in reversed(ledger.read(settings)[-limit:])
        ),
        "Runs",
    )


def _age(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


@app.command("releases")
def list_all(
    roll_back_to: Annotated[
        str | None, typer.Option("--roll-back-to", help="Make a kept release current again.")
    ] = None,
) -> None:
    """The kept releases, the newest first; or roll back to one of them."""
    from orchestration import releases

    settings = settings_or_exit()
    if roll_back_to is not None:
        try:
            releases.roll_back(settings, roll_back_to)
        except ValueError as error:
            raise fail(str(error)) from error
    shown = releases.current(settings)
    table = Table("", "release", "as of", "published", "rows", "checks passed")
    for release in releases.list_releases(settings):
        mark = "current" if shown is not None and shown.release_id == release.release_id else ""
        rows = sum(int(figures["rows"]) for figures in release.tables.values())
        table.add_row(
            mark,
            release.release_id,
            str(release.as_of_date),
            f"{release.published_at:%Y-%m-%d %H:%M} UTC",
            f"{rows:,}",
            str(release.checks["passed"]),
        )
    console.print(table)


@app.command("assign-control")
def assign_control(
    campaign_id: Annotated[str, typer.Argument(help="The next campaign, as its messages will name it.")],
    share: Annotated[float, typer.Option(min=0, max=0.99, help="Share of the audience to hold back.")] = 0.10,
    where: Annotated[
        str, typer.Option(help="The audience: a condition over dim_customer, customer_rfm and customer_value.")
    ] = "true",
) -> None:
    """Draw who is held back from the next campaign: by a salted hash, stratified by segment; and the global holdout."""
    from orchestration.incrementality import InputError, draw
    from orchestration.releases import current
    from orchestration.warehouse import connect_reader

    settings = settings_or_exit()
    release = current(settings)
    if release is None:
        raise fail("No release yet: `fidelis run` makes the first.")
    try:
        with connect_reader(release.datamart) as con:
            drawn = draw(settings, con, campaign_id, share, where)
    except InputError as error:
        raise fail(str(error)) from error
    segments = sorted({segment for segment, _ in drawn.counts})
    groups = ("treated", "control", "holdout")
    rows = [(s, *(drawn.counts[s, g] for g in groups)) for s in segments]
    totals = ("all", *(sum(drawn.counts[s, g] for s in segments) for g in groups))
    show(("segment", *groups), [*rows, totals], f"Campaign {campaign_id}")
    state = "" if drawn.is_new else " (as drawn before)"
    console.print(f"{drawn.file}{state}", highlight=False, soft_wrap=True)


@app.command()
def query(sql: Annotated[str, typer.Argument(help="One SQL statement over schema mart.")]) -> None:
    """Run a query on the current release, read-only."""
    import duckdb

    from orchestration.releases import current
    from orchestration.warehouse import connect_reader

    release = current(settings_or_exit())
    if release is None:
        raise fail("No release yet: `fidelis run` makes the first.")
    try:
        with connect_reader(release.datamart) as con:
            cursor = con.execute(sql)
            names = [column[0] for column in cursor.description or []]
            rows = cursor.fetchmany(1000)
    except duckdb.Error as error:
        raise fail(str(error)) from error
    show(names, rows)


@app.command()
def why(
    table: Annotated[str, typer.Argument(help="kpi_monthly or kpi_half_yearly.")],
    period: Annotated[str, typer.Argument(help="2024-03, or 2024-H1.")],
    figure: Annotated[str, typer.Argument(help="A column of the table, as net_amount.")],
    channel: Annotated[str | None, typer.Option(help="A channel_id; all channels unless said otherwise.")] = None,
) -> None:
    """Why a published figure changed: which release changed it, and how much each cause brought."""
    from orchestration.restatements import explain

    try:
        for line in explain(settings_or_exit(), table, period, figure, channel):
            say(line)
    except ValueError as error:
        raise fail(str(error)) from error


@app.command()
def rebuild(
    release: Annotated[str, typer.Argument(help="A release id, or a month (2024-03): its last release.")],
    out: Annotated[Path, typer.Option(help="Folder for the mart as it was: datamart.duckdb.")],
) -> None:
    """Build a past release anew from the deliveries and decisions known then, and compare it with what was published."""
    from orchestration import ledger
    from orchestration.contracts import load_contracts
    from orchestration.rebuild import RebuildError, find
    from orchestration.rebuild import rebuild as build_anew

    settings = settings_or_exit()
    try:
        with ledger.writer_lock(settings), console.status("building"):
            was = find(settings, release)
            done = build_anew(settings, load_contracts(settings.contracts), was, out)
    except RebuildError as error:
        raise fail(str(error)) from error
    say(f"The mart as known at {was.as_of_date} (release {was.release_id}): {done.datamart}")
    if done.rules_changed:
        say("Code, contracts or settings are not those of then; their changes are in it.")
    if done.differing:
        say(f"Differs from what was published: {', '.join(done.differing)}.")
    else:
        say(f"All {done.tables} tables are what was published then.")


@app.command()
def dev(port: int = 3000, host: str = "127.0.0.1") -> None:
    """Open Dagster's UI, with its daemon, on this FIDELIS_HOME."""
    import os

    from orchestration.cli.instance import open_instance
    from orchestration.dbt_runner import parsed
    from orchestration.settings import PROJECT_DIR

    settings = settings_or_exit()
    open_instance(settings)
    parsed(settings)
    os.chdir(PROJECT_DIR)
    program = str(Path(sys.executable).with_name("dagster"))
    os.execv(program, [program, "dev", "-w", str(PROJECT_DIR / "workspace.yaml"), "-h", host, "-p", str(port)])


if __name__ == "__main__":
    app()
