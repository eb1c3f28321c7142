"""Nothing is published while a blocking check of the run has failed or has said nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.run_checks import before_release

ORDERS, CUSTOMERS, RELEASE = (dg.AssetKey(name) for name in ("orders", "customers", "release"))
TOTALS = dg.AssetCheckKey(ORDERS, "totals")


def night(
    tmp_path: Path, *results: dg.AssetCheckResult, selection: Sequence[dg.AssetKey] | None = None
) -> tuple[str | None, dict[str, int] | None]:
    """A run of two marts and a release, whose checks say ``results``: why it failed, or the counts of its checks.

    Check ``totals`` of orders looks at customers too and is due only where both are built; ``usual`` blocks nothing.
    """
    counted: list[dict[str, int]] = []

    @dg.multi_asset(
        specs=[dg.AssetSpec(ORDERS, skippable=True), dg.AssetSpec(CUSTOMERS, skippable=True)],
        check_specs=[
            dg.AssetCheckSpec("unique", asset=ORDERS, blocking=True),
            dg.AssetCheckSpec("totals", asset=ORDERS, blocking=True),
            dg.AssetCheckSpec("usual", asset=ORDERS),
            dg.AssetCheckSpec("unique", asset=CUSTOMERS, blocking=True),
        ],
        can_subset=True,
    )
    def marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        for key in (ORDERS, CUSTOMERS):
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key)
        yield from (r for r in results if r.asset_key in context.selected_asset_keys)

    @dg.asset(
        key=RELEASE, deps=[ORDERS, CUSTOMERS], check_specs=[dg.AssetCheckSpec("own", asset=RELEASE, blocking=True)]
    )
    def release(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        counted.append(before_release(context, RELEASE, lambda check, assets: check != TOTALS or CUSTOMERS in assets))
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="own", passed=True)])

    defs = dg.Definitions(assets=[marts, release], jobs=[dg.define_asset_job("night")], executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        done = defs.resolve_job_def("night").execute_in_process(
            instance=instance, asset_selection=selection, raise_on_error=False
        )
    failures = [e for e in done.all_events if e.is_step_failure and e.step_key == "release"]
    said = failures[0].step_failure_data.user_failure_data.description if failures else None
    return said, counted[0] if counted else None


def said(key: dg.AssetKey, name: str, passed: bool = True, severity: str = "ERROR") -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key=key, check_name=name, passed=passed, severity=dg.AssetCheckSeverity[severity])


ALL = (said(ORDERS, "unique"), said(ORDERS, "totals"), said(CUSTOMERS, "unique"))


def test_a_run_whose_checks_all_spoke_goes_on_with_their_counts(tmp_path: Path) -> None:
    assert night(tmp_path, *ALL) == (None, {"passed": 3, "warned": 0, "failed": 0})
    warned = said(ORDERS, "usual", passed=False, severity="WARN")
    assert night(tmp_path, *ALL, warned) == (None, {"passed": 3, "warned": 1, "failed": 0})


@pytest.mark.parametrize("silent", range(3))
def test_a_blocking_check_without_a_result_stops_the_release_and_is_named(tmp_path: Path, silent: int) -> None:
    sentence, counted = night(tmp_path, *(r for number, r in enumerate(ALL) if number != silent))
    assert counted is None
    assert sentence is not None
    missing = ALL[silent]
    assert "1 blocking check of this run gave no result" in sentence
    assert f"({missing.asset_key.to_user_string()}: {missing.check_name})" in sentence


def test_a_failed_check_that_dagster_let_pass_stops_the_release(tmp_path: Path) -> None:
    sentence, counted = night(tmp_path, *ALL, said(ORDERS, "usual", passed=False))
    assert counted is None
    assert sentence is not None
    assert "1 blocking check of this run failed (orders: usual)" in sentence


def test_of_a_run_of_some_assets_only_the_checks_that_are_due_must_speak(tmp_path: Path) -> None:
    some = [ORDERS, RELEASE]
    assert night(tmp_path, ALL[0], selection=some) == (None, {"passed": 1, "warned": 0, "failed": 0})
    sentence, _ = night(tmp_path, ALL[1], selection=some)
    assert sentence is not None
    assert "gave no result (orders: unique)" in sentence


def test_a_run_of_the_release_alone_has_no_check_to_wait_for(tmp_path: Path) -> None:
    assert night(tmp_path, selection=[RELEASE]) == (None, {"passed": 0, "warned": 0, "failed": 0})
