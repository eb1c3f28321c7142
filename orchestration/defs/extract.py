"""One asset per source table: its deliveries, checked by its contract, in the raw zone."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration import quality, raw_zone
from orchestration.contracts import Contract
from orchestration.defs.event_log import add_metadata
from orchestration.defs.history import ACCEPT_DRIFT, ACCEPT_MISSING
from orchestration.defs.partitions import days_of, delivery_days, one_run
from orchestration.defs.resources import WRITER_POOL, WriterLock, contracts, settings
from orchestration.extraction import extract
from orchestration.raw_zone import counts


def landing_spec(contract: Contract) -> dg.AssetSpec:
    """What is delivered of a table, which others write."""
    return dg.AssetSpec(
        key=["landing", contract.table],
        group_name="landing",
        description=f"Deliveries of {contract.table}: `{contract.server.place}`",
        kinds={contract.format} if contract.server.type == "local" else {contract.server.type},
    )


def column_schema(contract: Contract) -> dg.TableSchema:
    """The captured columns with type and description."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.sql_type, f"{c.description} ({c.classification})")
            for c in contract.columns
            if c.captured
        ]
    )


def column_lineage(contract: Contract) -> dg.TableColumnLineage:
    """Which header of the delivery each column comes from."""
    source = dg.AssetKey(["landing", contract.table])
    return dg.TableColumnLineage(
        {
            c.name: [dg.TableColumnDep(asset_key=source, column_name=c.header or f"expression: {c.expression}")]
            for c in contract.columns
            if c.captured
        }
    )


def rules_ever_broken(contract: Contract) -> set[str]:
    """The rules that some known delivery breaks. Their zeros are plotted too; a rule nobody breaks is no line."""
    known = raw_zone.partitions(settings, contract.table).values()
    return {name for partition in known for name, count in partition.violations.items() if count}


def raw_asset(contract: Contract) -> dg.AssetsDefinition:
    """The asset of one table, its checks built from its contract."""
    key = dg.AssetKey(["raw", contract.table])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["landing", contract.table])],
        group_name="raw",
        description=f"{contract.description} Purpose: {contract.purpose}",
        kinds={"duckdb", "parquet"},
        tags={"delivery_mode": contract.mode, "legal_basis": contract.legal_basis},
        metadata={
            "dagster/column_schema": column_schema(contract),
            "contract": str(contract.file),
            "contract_version": contract.version,
            "retention": contract.retention,
        },
        partitions_def=delivery_days,
        backfill_policy=one_run,
        pool=WRITER_POOL,
        check_specs=[
            dg.AssetCheckSpec(name=s.name, asset=key, description=s.description, blocking=s.blocking)
            for s in quality.check_specs(contract)
        ],
    )
    def extracted(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult[None]]:
        tags = context.run.tags
        ruled = rules_ever_broken(contract)
        partitions = list(
            extract(
                settings,
                contract,
                days_of(context),
                accept_missing=ACCEPT_MISSING in tags,
                accept_drift=ACCEPT_DRIFT in tags,
            ).values()
        )
        ruled |= rules_ever_broken(contract)
        results = quality.validate(settings, contract, partitions)
        uncaptured = sorted({name for p in partitions for name in p.uncaptured})
        failures = [p.failure for p in partitions if p.failure]
        if any(not r.passed and r.blocking for r in results):
            quality.write_data_docs(settings)
        for failure in failures[:10]:
            context.log.error(failure)
        if uncaptured:
            context.log.warning(
                f"{contract.table}: delivered but not captured by the contract: {', '.join(uncaptured)}"
            )
        figures: dict[str, dict[str, Any]] = {
            partition.day.isoformat(): {
                **counts([partition]),
                **{f"rule/{name}": partition.violations.get(name, 0) for name in sorted(ruled)},
                "dagster/row_count": partition.rows_loaded,
            }
            for partition in partitions
        }
        # the UI reads lineage off the latest event: one copy is enough
        figures[partitions[-1].day.isoformat()]["dagster/column_lineage"] = column_lineage(contract)
        add_metadata(context, figures)
        yield dg.MaterializeResult(
            metadata={
                "days_of_run": len(partitions),
                "days_failed": len(failures),
                "uncaptured_columns": ", ".join(uncaptured) or "none",
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=r.name,
                    passed=r.passed,
                    severity=dg.AssetCheckSeverity.ERROR if r.blocking else dg.AssetCheckSeverity.WARN,
                    metadata=dict(r.figures),
                )
                for r in results
            ],
        )

    return extracted


@dg.definitions
def extraction() -> dg.Definitions:
    """Every table that the retailer has a contract for."""
    return dg.Definitions(
        assets=[*(landing_spec(c) for c in contracts.values()), *(raw_asset(c) for c in contracts.values())]
    )
