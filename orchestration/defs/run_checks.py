"""What the checks of a run said so far, and that each one that can stop a release has said something."""

from collections.abc import Callable, Set

import dagster as dg

#: Whether a check is due in a run of these assets: dbt leaves out a test that looks at a model which is not built.
IsDue = Callable[[dg.AssetCheckKey, Set[dg.AssetKey]], bool]

_NAMED = 5


def before_release(context: dg.AssetExecutionContext, release: dg.AssetKey, is_due: IsDue) -> dict[str, int]:
    """Checks of this run that passed and warned, for a step that may go on only if all are well.

    Dagster itself goes on where a blocking check gave no result. Raises dg.Failure, which names them, where
    a blocking check of the run's assets (other than of ``release``, the asset in hand) has none, or one has failed.
    """
    records = context.instance.get_records_for_run(
        context.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    evaluations = [r.event_log_entry.get_dagster_event().asset_check_evaluation_data for r in records]
    failed = {e.asset_check_key for e in evaluations if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR}
    silent = blocking_checks(context, release, is_due) - {e.asset_check_key for e in evaluations}
    sentences = []
    if failed:
        sentences.append(f"{_count(failed)} failed ({_names(failed)})")
    if silent:
        sentences.append(
            f"{_count(silent)} gave no result ({_names(silent)}), as when the project's files change during a run"
        )
    if sentences:
        raise dg.Failure(
            f"the release was not published: {'; '.join(sentences)}. Run again; the published release stays as it was.",
            allow_retries=False,
        )
    passed = sum(e.passed for e in evaluations)
    return {"passed": passed, "warned": len(evaluations) - passed, "failed": 0}


def blocking_checks(context: dg.AssetExecutionContext, release: dg.AssetKey, is_due: IsDue) -> set[dg.AssetCheckKey]:
    """The blocking checks that a run has to evaluate before its release."""
    graph, run = context.job_def.asset_layer.asset_graph, context.run
    assets = set(run.asset_selection or graph.executable_asset_keys)
    chosen = run.asset_check_selection
    return {
        key
        for key in graph.asset_check_keys
        if (key.asset_key in assets if chosen is None else key in chosen)
        and key.asset_key != release
        and graph.get(key).blocking
        and is_due(key, assets)
    }


def _count(checks: Set[dg.AssetCheckKey]) -> str:
    return f"{len(checks)} blocking check{'s' if len(checks) != 1 else ''} of this run"


def _names(checks: Set[dg.AssetCheckKey]) -> str:
    names = sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in checks)
    return ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")
