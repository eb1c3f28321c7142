"""The unique customer repository in the night and in the UI: the registry, its figures and alarms, and decisions of people."""

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg

from orchestration import identity, raw_zone
from orchestration.defs.resources import WRITER_POOL, WriterLock, contracts, settings
from orchestration.identity import actions
from orchestration.identity.quality import figures

IDENTITIES = dg.AssetKey(["identity", "identities"])
HISTORY = dg.AssetKey(["identity", "history"])
_SOURCES = [
    dg.AssetKey(["raw", table])
    for table in ("customers", "orders", "campaign_messages", "web_events")
    if table in contracts
]
_CHECKS = {
    "largest_cluster": "No customer has more accounts than the rules' alarm_above.",
    "precision_on_labels": "Of the labelled pairs that are joined, at least 99.5 % are one person (identity/labels.csv).",
    "recall_on_labels": "Of the labelled pairs of one person, at least 95 % are joined (identity/labels.csv).",
}


@dg.multi_asset(
    name="identity_registry",
    specs=[
        dg.AssetSpec(
            IDENTITIES,
            deps=_SOURCES,
            group_name="identity",
            kinds={"duckdb", "parquet"},
            description="Every source record with its customer: accounts, guest orders, visitors.",
        ),
        dg.AssetSpec(
            HISTORY,
            deps=_SOURCES,
            group_name="identity",
            kinds={"duckdb", "parquet"},
            description="Which record was whose, on which day, and since when it was known.",
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(name, asset=IDENTITIES, description=sentence, blocking=False)
        for name, sentence in _CHECKS.items()
    ],
    pool=WRITER_POOL,
)
def identity_registry(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult[None]]:
    """Match what is new or changed against the registry, under the decisions in force."""
    rules = identity.load_rules(settings)
    as_of_date = max(raw_zone.loaded_days(settings, contracts), default=settings.first_day)
    outcome = identity.build(settings, contracts, as_of_date, run_id=context.run_id)
    found = figures(settings)
    if outcome.is_as_before:
        context.log.info("nothing that identities depend on has changed: they are as they were")
    context.log.info(
        f"{outcome.records} records are {outcome.customers} customers; {outcome.changed_records} are another customer's than before"
    )
    measured = {
        "largest_cluster": found.largest_cluster <= rules.alarm_above,
        "precision_on_labels": found.precision is None or found.precision >= 0.995,
        "recall_on_labels": found.recall is None or found.recall >= 0.95,
    }
    shown: dict[str, dict[str, int | float | str]] = {
        "largest_cluster": {"accounts": found.largest_cluster, "alarm_above": rules.alarm_above},
        "precision_on_labels": {"precision": _share(found.precision)},
        "recall_on_labels": {"recall": _share(found.recall)},
    }
    yield dg.MaterializeResult(
        asset_key=IDENTITIES,
        metadata={
            **asdict(outcome),
            "dagster/row_count": outcome.records,
            "records_by_kind": dict(found.records),
            "customers_by_number_of_accounts": {str(size): count for size, count in found.cluster_sizes.items()},
            "decisions_in_force": len(identity.in_force(identity.read_decisions(settings))),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=name,
                asset_key=IDENTITIES,
                passed=passed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=shown[name],
            )
            for name, passed in measured.items()
        ],
    )
    yield dg.MaterializeResult(asset_key=HISTORY, metadata={"revision": outcome.revision})


def _share(value: float | None) -> float | str:
    return "no labelled pair" if value is None else round(value, 4)


class MergeConfig(dg.Config):
    """Customers or records (``kind:id``) that are one person."""

    names: list[str]
    author: str
    reason: str


class SplitConfig(dg.Config):
    """Records of one customer that are another person."""

    records: list[str]
    author: str
    reason: str


class UndoConfig(dg.Config):
    """A decision to take back."""

    decision_id: str
    author: str
    reason: str


@dg.op(description="Make customers one; the older customer_id survives. Takes effect with the next run.")
def merge_customers(context: dg.OpExecutionContext, config: MergeConfig, writer: WriterLock) -> None:
    """Write a merge down."""
    decision = actions.merge(settings, config.names, config.author, config.reason)
    context.log.info(f"{decision.decision_id}: {len(decision.parts[0])} records are one customer")


@dg.op(
    description="Separate records from their customer; the larger part keeps the id. Takes effect with the next run."
)
def split_customer(context: dg.OpExecutionContext, config: SplitConfig, writer: WriterLock) -> None:
    """Write a split down."""
    decision = actions.split(settings, config.records, config.author, config.reason)
    context.log.info(f"{decision.decision_id}: {len(decision.parts[1])} records become another customer")


@dg.op(description="Take a merge or a split back. Takes effect with the next run.")
def undo_decision(context: dg.OpExecutionContext, config: UndoConfig, writer: WriterLock) -> None:
    """Write an undo down."""
    decision = actions.undo(settings, config.decision_id, config.author, config.reason)
    context.log.info(f"{decision.decision_id}: {decision.of} is undone")


@dg.job(description="Decide that customers are one person.")
def identity_merge() -> None:
    """The merge as a job of its own, to be launched with its config."""
    merge_customers()


@dg.job(description="Decide that records of a customer are another person.")
def identity_split() -> None:
    """The split as a job of its own."""
    split_customer()


@dg.job(description="Take a decision about identities back.")
def identity_undo() -> None:
    """The undo as a job of its own."""
    undo_decision()
