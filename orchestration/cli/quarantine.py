"""``fidelis quarantine``: which rows were refused and why, and their day once more when the cause is healed."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated

import typer

from orchestration import bad_rows, raw_zone
from orchestration.cli.terminal import console, errors, fail, say, settings_or_exit, show
from orchestration.contracts import Contract, ContractError, load_contracts
from orchestration.raw_zone import Partition
from orchestration.settings import Settings

quarantine = typer.Typer(no_args_is_help=True, help="Rows that were refused: which, why, and their day again.")

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table of the contracts.")]
Day = Annotated[datetime, typer.Argument(metavar="DAY", formats=["%Y-%m-%d"], help="The delivery day.")]


@quarantine.command("list")
def list_days(
    table: Annotated[str | None, typer.Option(help="This table only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Days shown per table, the newest first.")] = 20,
) -> None:
    """Days with refused rows or a refused delivery: how many rows, by which rules."""
    settings = settings_or_exit()
    lines, more = [], 0
    for contract in _contracts(table).values():
        held = bad_rows.days_held(settings, contract)
        more += len(held[limit:])
        lines += [(contract.table, *_described(contract, partition)) for partition in held[:limit]]
    if not lines:
        say("Nothing is in quarantine.")
        return
    show(("table", "day", "delivery", "rows in quarantine", "rows in the raw zone", "rules"), lines)
    if more:
        errors.print(f"{more:,} earlier days are not shown: --limit shows more.", highlight=False)


@quarantine.command("show")
def show_rows(
    table: TableName,
    day: Day,
    raw: Annotated[bool, typer.Option("--raw", help="The raw text too. It holds personal data.")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 100,
) -> None:
    """The refused rows of one day: rules, key, file and line."""
    settings, contract = settings_or_exit(), _contract(table)
    partition = raw_zone.partitions(settings, table).get(day.date())
    if partition is None:
        raise fail(f"{table} of {day.date()} has not been loaded yet")
    _say_state(contract, partition)
    found = bad_rows.rows(settings, contract, partition.day)
    if not found:
        return
    with_key = raw or not bad_rows.key_is_personal(contract)
    names = ["rules", *(["key"] if with_key else []), "file", "line", *(["raw text"] if raw else [])]
    show(
        names,
        (
            (r.rules, *([r.key] if with_key else []), r.file, r.line, *([r.raw_text] if raw else []))
            for r in found[:limit]
        ),
    )
    if len(found) > limit:
        errors.print(f"{len(found) - limit:,} more rows: --limit shows them.", highlight=False)


@quarantine.command()
def replay(
    table: TableName,
    day: Day,
    why: Annotated[str, typer.Option(help="For the ledger of runs.")] = "",
) -> None:
    """Load the day of a table again, after its delivery or its contract was corrected, and publish."""
    from orchestration.cli.night import replay_window, run_night

    settings, contract = settings_or_exit(), _contract(table)
    try:
        window = replay_window(settings, contract, day.date(), why)
    except (ContractError, ValueError) as error:
        raise fail(str(error)) from error
    before = raw_zone.partitions(settings, table).get(window.first)
    outcome = run_night(settings, window, console)
    after = raw_zone.partitions(settings, table).get(window.first)
    for sentence in outcome.failures:
        errors.print(f"- {sentence}", style="red", markup=False, highlight=False)
    if after is not None:
        _say_change(settings, contract, before, after)
    if not outcome.published:
        raise fail("No release was published; the previous one, if any, is untouched.")
    say(f"Published {outcome.result}.")


def _contracts(table: str | None) -> Mapping[str, Contract]:
    if table is not None:
        return {table: _contract(table)}
    try:
        return load_contracts(settings_or_exit().contracts)
    except ContractError as error:
        raise fail(str(error)) from error


def _contract(table: str) -> Contract:
    contracts = _contracts(None)
    if table not in contracts:
        raise fail(f"there is no contract of a table '{table}'; there are: {', '.join(contracts)}")
    return contracts[table]


def _described(contract: Contract, partition: Partition) -> tuple[date, str, int, int, str]:
    """Day, state, rows in quarantine, rows in the raw zone, and the rules with their counts."""
    state = "accepted" if partition.loaded else "refused, the last good one stays" if partition.last_good else "refused"
    rules = ", ".join(f"{name} {count:,}" for name, count in bad_rows.broken_rules(contract, [partition]).items())
    return partition.day, state, partition.rows_quarantined, partition.rows_held, rules


def _say_state(contract: Contract, partition: Partition) -> None:
    _, _, quarantined, held, rules = _described(contract, partition)
    if partition.failure is not None:
        kept = f"the last good delivery stays in the raw zone, {held:,} rows" if partition.last_good else "none before"
        say(f"The latest delivery is refused ({kept}): {partition.failure}")
    say(
        f"{contract.table} of {partition.day}: {partition.rows_read:,} rows read, {quarantined:,} in quarantine"
        + (f" ({rules})" if rules else "")
    )


def _say_change(settings: Settings, contract: Contract, before: Partition | None, after: Partition) -> None:
    was = before or Partition(after.day)
    rules, ruled = (bad_rows.broken_rules(contract, [p]) for p in (was, after))
    say(
        f"{contract.table} of {after.day}: rows in quarantine {was.rows_quarantined:,} -> {after.rows_quarantined:,}, "
        f"rows in the raw zone {was.rows_held:,} -> {after.rows_held:,}"
    )
    for name in {**rules, **ruled}:
        if rules.get(name, 0) != ruled.get(name, 0):
            say(f"  {name} {rules.get(name, 0):,} -> {ruled.get(name, 0):,}")
    same_delivery = (was.fingerprint, was.contract_version) == (after.fingerprint, after.contract_version)
    if before is not None and same_delivery and (was.held, was.violations) == (after.held, after.violations):
        say("Nothing changed: the same delivery under the same contract gives the same rows.")
