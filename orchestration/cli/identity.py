"""``fidelis identity``: why records are one customer, and the decisions of people about it."""

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from orchestration.cli.terminal import console, fail, settings_or_exit

app = typer.Typer(no_args_is_help=True, help="The unique customer repository: explain, decide, review.")

Author = Annotated[str, typer.Option(help="Who decides; the user of this session unless said otherwise.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]
_NEXT = "It takes effect with the next run (`fidelis run`)."


def _user() -> str:
    return getpass.getuser()


def _weight(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


@app.command()
def explain(name: Annotated[str, typer.Argument(help="A customer_id, a source id, or kind:id.")]) -> None:
    """Why the records of a customer are together, and what else was seen between them and others."""
    from orchestration.identity import DecisionError, actions

    try:
        found = actions.explain(settings_or_exit(), name)
    except DecisionError as error:
        raise fail(str(error)) from error
    console.print(f"Customer {found.members[0].customer_id}", style="bold", highlight=False)
    records = Table("record", "system", "first seen", "by rule", "weight")
    for member in found.members:
        records.add_row(
            ":".join(member.record), member.source_system, member.first_seen, member.rule, _weight(member.match_weight)
        )
    console.print(records)
    if found.ties:
        ties = Table("record", "and", "rule", "weight", "", title="Evidence", title_justify="left")
        for tie in found.ties:
            used = "" if tie.is_used else "outweighed: kept apart"
            ties.add_row(":".join(tie.left), ":".join(tie.right), tie.rule, _weight(tie.match_weight), used)
        console.print(ties)
    for decision in found.decisions:
        console.print(
            f"{decision.decision_id} {decision.kind} by {decision.author}, {decision.decided_at}: {decision.reason}",
            highlight=False,
            markup=False,
        )


@app.command()
def merge(
    names: Annotated[list[str], typer.Argument(help="Two customers or more.")], reason: Reason, author: Author = ""
) -> None:
    """Make customers one; the older customer_id survives."""
    from orchestration.identity import DecisionError, actions

    try:
        decision = actions.merge(settings_or_exit(), names, author or _user(), reason)
    except DecisionError as error:
        raise fail(str(error)) from error
    console.print(
        f"{decision.decision_id}: {len(decision.parts[0])} records are one customer. {_NEXT}", highlight=False
    )


@app.command()
def split(
    names: Annotated[list[str], typer.Argument(help="Source records of one customer that are another person.")],
    reason: Reason,
    author: Author = "",
) -> None:
    """Separate records from their customer; the larger part keeps the customer_id."""
    from orchestration.identity import DecisionError, actions

    try:
        decision = actions.split(settings_or_exit(), names, author or _user(), reason)
    except DecisionError as error:
        raise fail(str(error)) from error
    kept, parted = (len(part) for part in decision.parts)
    console.print(
        f"{decision.decision_id}: {kept} records keep the customer_id, {parted} become another customer. {_NEXT}",
        highlight=False,
    )


@app.command()
def undo(decision_id: str, reason: Reason, author: Author = "") -> None:
    """Take a merge or a split back."""
    from orchestration.identity import DecisionError, actions

    try:
        decision = actions.undo(settings_or_exit(), decision_id, author or _user(), reason)
    except DecisionError as error:
        raise fail(str(error)) from error
    console.print(f"{decision.decision_id}: {decision.of} is undone. {_NEXT}", highlight=False)


@app.command("decisions")
def list_decisions() -> None:
    """Every decision with its author and reason, the undone ones too."""
    from orchestration.identity import DecisionError, read_decisions

    try:
        known = read_decisions(settings_or_exit())
    except DecisionError as error:
        raise fail(str(error)) from error
    undone = {d.of: d.decision_id for d in known if d.kind == "undo"}
    table = Table("decision", "kind", "records", "author", "reason", "when", "")
    for decision in known:
        records = " | ".join(str(len(part)) for part in decision.parts) or str(decision.of)
        state = f"undone by {undone[decision.decision_id]}" if decision.decision_id in undone else ""
        table.add_row(
            decision.decision_id, decision.kind, records, decision.author, decision.reason, decision.decided_at, state
        )
    console.print(table)


@app.command()
def train() -> None:
    """Find the weights of similarity in the accounts themselves; the next run compares all of them anew."""
    from orchestration.contracts import ContractError, load_contracts
    from orchestration.identity import ModelError, RulesError
    from orchestration.identity import train as train_weights

    settings = settings_or_exit()
    try:
        model = train_weights(settings, load_contracts(settings.contracts))
    except (ContractError, ModelError, RulesError) as error:
        raise fail(str(error)) from error
    console.print(
        f"model {model.version}: trained on {model.records} accounts delivered through {model.trained_through}. {_NEXT}",
        highlight=False,
    )


@app.command()
def review(
    out: Annotated[Path | None, typer.Option(help="Write the pairs to look at, with their evidence, as CSV.")] = None,
    take: Annotated[Path | None, typer.Option("--import", help="Take the decisions of a reviewed CSV.")] = None,
    author: Author = "",
) -> None:
    """Export the pairs that are neither surely one person nor surely two; take the decisions back."""
    import duckdb

    from orchestration import raw_zone
    from orchestration.contracts import load_contracts
    from orchestration.identity import DecisionError, actions

    settings = settings_or_exit()
    if (out is None) == (take is None):
        raise fail("say either --out FILE or --import FILE")
    try:
        if out is not None:
            contracts = load_contracts(settings.contracts)
            if "customers" not in contracts:
                raise DecisionError("this retailer has no customers: there is nothing to review")
            with duckdb.connect() as con:
                number = actions.export_review(settings, con, raw_zone.relation(settings, contracts["customers"]), out)
            console.print(
                f"{number} pairs in {out}: fill in the column decision with same or different.", highlight=False
            )
        elif take is not None:
            taken = actions.import_review(settings, take, author or _user())
            console.print(f"{len(taken)} decisions taken. {_NEXT}", highlight=False)
    except (DecisionError, OSError) as error:
        raise fail(str(error)) from error
