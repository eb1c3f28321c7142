"""The published release as an asset: only marts whose checks passed get here."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from orchestration import charts, raw_zone, releases, restatements, warehouse
from orchestration.defs.dbt import mart_keys, test_is_due
from orchestration.defs.resources import WRITER_POOL, WriterLock, contracts, settings
from orchestration.defs.run_checks import before_release
from orchestration.identity.quality import identified_sales

RELEASE = dg.AssetKey(["release", "datamart"])

#: By 06:00 business time there is a release of this night.
by_six = dg.FreshnessPolicy.cron("0 6 * * *", lower_bound_delta=timedelta(hours=6), timezone=settings.timezone)


@dg.asset(
    key=RELEASE,
    deps=mart_keys(),
    group_name="release",
    description="The audited datamart that BI tools open read-only: releases/current/datamart.duckdb.",
    kinds={"duckdb"},
    pool=WRITER_POOL,
    freshness_policy=by_six,
    check_specs=[
        dg.AssetCheckSpec(
            "reconciled",
            asset=RELEASE,
            blocking=True,
            description="Rows and sums of every table equal what was built; no direct identifier.",
        ),
        dg.AssetCheckSpec(
            "restated",
            asset=RELEASE,
            blocking=True,
            description="Every change of a published past figure is in kpi_restatements; its causes sum to it.",
        ),
    ],
)
def release(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult[None]]:
    """Copy aside, audit, switch. A failure leaves the published release as it was."""
    as_of_date = max(raw_zone.loaded_days(settings, contracts), default=settings.first_day)
    checks = before_release(context, RELEASE, test_is_due)
    if not warehouse.is_finished(settings, contracts):
        raise dg.Failure(
            "the release was not published: the last build of the mart failed, was of a part of it only, or is older than the deliveries "
            "loaded since. Run the job nightly, or `fidelis run`; the published release stays as it was.",
            allow_retries=False,
        )
    unexplained = restatements.unexplained(settings, releases.next_id(settings, as_of_date))
    if unexplained:
        raise dg.Failure(
            f"the release was not published: it would change {', '.join(unexplained)} without an entry in kpi_restatements, as when "
            "another release became current since the mart was built. Run `fidelis run --full-refresh`; the published release "
            "stays as it was.",
            allow_retries=False,
        )
    checks["passed"] += 2  # both are held before it is published: its own checks have passed whoever reads this
    published = releases.publish(settings, as_of_date, checks, raw_zone.state(settings, contracts), contracts)
    context.log.info(f"published release {published.release_id} as of {as_of_date}")
    yield dg.MaterializeResult(
        metadata={
            "release_id": published.release_id,
            "as_of_date": as_of_date.isoformat(),
            "path": dg.MetadataValue.path(published.datamart),
            "charts": dg.MetadataValue.path(published.folder / charts.PAGE),
            "tables": len(published.tables),
            "rows": sum(int(t["rows"]) for t in published.tables.values()),
            "share_of_sales_identified_by_channel": identified_sales(published.datamart),
            "bytes": published.datamart.stat().st_size,
            "code_version": published.code_version,
        },
        check_results=[
            dg.AssetCheckResult(check_name="reconciled", passed=True, metadata={"tables": len(published.tables)}),
            dg.AssetCheckResult(check_name="restated", passed=True),
        ],
    )
