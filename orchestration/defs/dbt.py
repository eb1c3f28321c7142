"""The dbt project as assets: models from staging to the marts, dbt tests as asset checks."""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test, get_subset_selection_for_context

from orchestration import charts, dbt_runner, dbt_tests, disk, quality, releases, warehouse
from orchestration.column_lineage import Lineage, cached_lineage
from orchestration.contracts import absent_tables
from orchestration.dbt_runner import NodeResult
from orchestration.defs.history import FULL_REFRESH
from orchestration.defs.resources import WRITER_POOL, WriterLock, contracts, settings

manifest = dbt_runner.load_manifest(settings)


class Translator(DagsterDbtTranslator):
    """Groups that read as the flow: staging, intermediate, then one per folder of marts."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The folder of a model; ``mart_`` and the subject for marts."""
        folders = dbt_resource_props["fqn"][1:-1]
        if dbt_resource_props["resource_type"] == "seed":
            return "reference"
        if dbt_resource_props["resource_type"] == "source":
            return str(dbt_resource_props["source_name"])
        return f"mart_{folders[1]}" if folders[0] == "marts" else str(folders[0])

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and name, as in the database."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([str(dbt_resource_props["schema"]), str(dbt_resource_props["name"])])


translator = Translator(
    settings=DagsterDbtTranslatorSettings(enable_asset_checks=True, enable_duplicate_source_asset_keys=True)
)


def mart_keys() -> list[dg.AssetKey]:
    """The assets that a release is made of."""
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["fqn"][1] == "marts"]
    return [translator.get_asset_key(n) for n in nodes]


def as_events(
    results: Sequence[NodeResult],
    rows: Mapping[str, int],
    lineages: Mapping[str, Lineage],
    account: Mapping[str, str],
    pictures: Mapping[str, str],
) -> Iterator[Any]:
    """dbt's results as Dagster's: a built model is a materialisation, a test is a check.

    ``account`` is Markdown by test, ``pictures`` by table.
    """
    for result in results:
        node = manifest["nodes"].get(result.unique_id)
        if node is None or result.status == "skipped":
            continue
        if node["resource_type"] in ("model", "seed"):
            if result.status == "pass":
                metadata: dict[str, Any] = {"seconds": round(result.seconds, 3)}
                if node["relation_name"] in rows:
                    metadata["dagster/row_count"] = rows[node["relation_name"]]
                if lineages.get(result.unique_id):
                    metadata["dagster/column_lineage"] = as_dagster_lineage(lineages[result.unique_id])
                if node["name"] in pictures:
                    metadata["chart"] = dg.MetadataValue.md(pictures[node["name"]])
                    metadata["charts_of_the_release"] = dg.MetadataValue.path(
                        settings.releases_dir / releases.CURRENT / charts.PAGE
                    )
                yield dg.MaterializeResult(asset_key=translator.get_asset_key(node), metadata=metadata)
        elif result.status != "error":
            check = get_asset_check_key_for_test(manifest, translator, result.unique_id, None)
            if check is not None:
                judged = "those that may break it since it passed" if result.of_replaced_rows else "all"
                figures: dict[str, Any] = {
                    "rows_failing": result.failures,
                    "rows_judged": judged,
                    "seconds": round(result.seconds, 3),
                }
                if node["name"] in account:
                    figures["account"] = dg.MetadataValue.md(account[node["name"]])
                severity = dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    passed=result.status == "pass",
                    severity=severity,
                    metadata=figures,
                )


def as_dagster_lineage(lineage: Lineage) -> dg.TableColumnLineage:
    """Column lineage between assets; a relation's schema and name are the key of its asset."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey(relation.strip('"').split('"."')[1:]), column_name=name)
                for relation, name in sources
            ]
            for column, sources in lineage.items()
        }
    )


def failure_sentence(results: Sequence[NodeResult]) -> str | None:
    """What went wrong, for somebody who does not know the code; None where all is well."""
    failed = [r for r in results if r.status in ("fail", "error")]
    if not failed:
        return None
    if any(disk.is_full(r.message) for r in failed):
        return f"the mart was not built: {disk.SENTENCE}"
    shown = []
    for result in failed[:5]:
        name = manifest["nodes"][result.unique_id]["name"]
        if result.status == "fail":
            shown.append(f"test {name} found {result.failures} rows that break it")
        else:
            shown.append(f"{name} could not be built: {' '.join(result.message.split())[:300]}")
    more = f" (and {len(failed) - 5} more)" if len(failed) > 5 else ""
    return f"the mart was not built: {'; '.join(shown)}{more}. The published release stays as it was."


@cache
def tests_by_check() -> Mapping[dg.AssetCheckKey, str]:
    """The data test (unique id) behind each asset check."""
    keys = {
        unique_id: get_asset_check_key_for_test(manifest, translator, unique_id, None)
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "test"
    }
    return {key: unique_id for unique_id, key in keys.items() if key is not None}


def test_is_due(check: dg.AssetCheckKey, assets: Set[dg.AssetKey]) -> bool:
    """Whether a check is to be evaluated where these assets are built; one of no dbt test always is.

    Of the checks of a built asset, those that look at another model too run only where that model is built as
    well (dbt's indirect selection ``cautious``): an older one is not to fail them.
    """
    unique_id = tests_by_check().get(check)
    if unique_id is None or check.asset_key not in assets:
        return True
    needed = [name for name in manifest["nodes"][unique_id]["depends_on"]["nodes"] if not name.startswith("source.")]
    return all(translator.get_asset_key(manifest["nodes"][name]) in assets for name in needed)


def selected_tests(context: dg.AssetExecutionContext) -> list[str]:
    """The data tests (unique ids) of the run: the checks that Dagster selected, as far as they are due."""
    checks, assets = context.selected_asset_check_keys, context.selected_asset_keys
    return [tests_by_check()[key] for key in checks if test_is_due(key, assets)]


@dbt_assets(manifest=manifest, dagster_dbt_translator=translator, pool=WRITER_POOL, name="dbt_models")
def dbt_models(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[Any]:
    """Build the selected models in one dbt call of this process, then run their tests."""
    if FULL_REFRESH in context.run.tags:
        warehouse.reset(settings)
    # rows of touched keys can be replaced only where everything is: what is selected alone is built from nothing
    plan = warehouse.prepare(settings, contracts, code=releases.code_version(), whole=context.is_subset)
    quality.write_data_docs(settings)
    context.log.info("building the mart as of %s%s", plan.as_of_date, ", from nothing" if plan.is_whole else "")
    absent = absent_tables(contracts)
    if absent:
        context.log.info("tables this retailer does not have, their marts stay empty: %s", ", ".join(absent))
    selection, _ = get_subset_selection_for_context(context, manifest, None, None, None, translator, "cautious")
    results = dbt_runner.build(settings, selection, whole=plan.is_whole)
    alone = [manifest["nodes"][r.unique_id]["name"] for r in results if r.second_try]
    if alone:
        context.log.warning(
            "tried again one at a time, as memory did not suffice (FIDELIS_MEMORY): %s", ", ".join(alone)
        )
    results += dbt_tests.run(
        settings, selected_tests(context), results, replaced_only=not (plan.is_whole or plan.closes_month)
    )
    built = warehouse.relations(settings)
    models = {r.unique_id: r.sql for r in results if r.sql and r.unique_id.startswith("model.")}
    lineages = cached_lineage(settings.dbt_target_dir / "column_lineage.json", models, built.columns)
    pictures = {c.table: c.markdown for c in charts.draw(settings, settings.warehouse_dir / warehouse.DATAMART)}
    yield from as_events(results, built.rows, lineages, warehouse.account(settings), pictures)
    sentence = failure_sentence(results)
    if sentence is not None:
        raise dg.Failure(description=sentence, allow_retries=False)
    if not context.is_subset:
        warehouse.finish(settings, plan)
