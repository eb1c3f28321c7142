"""The gate of predicted customer value as a check with its figures: red is a warning, the release goes out."""

import dagster as dg

from orchestration import warehouse
from orchestration.defs.resources import WRITER_POOL, settings

_FIGURES = (
    "mae", "mae_naive", "rmse", "rmse_naive", "spearman", "spearman_naive", "bias", "coverage_80", "top_decile_lift"
)  # fmt: skip


@dg.asset_check(
    asset=dg.AssetKey(["mart", "ltv_backtest"]),
    name="deserves_to_be_published",
    pool=WRITER_POOL,
    description="The best model beats the naive predictions and its 80 % interval holds; else customer_ltv keeps its last good version.",
)
def deserves_to_be_published() -> dg.AssetCheckResult:
    """Red when the gate is closed; without a history to judge by there is nothing to be red about."""
    means = ", ".join(f"avg({name})" for name in _FIGURES)
    with warehouse.connect_file(settings, settings.warehouse_dir / warehouse.DATAMART) as con:
        passed, reason = con.execute(
            "select passed, message from mart.ltv_findings where check_name = 'back_test_gate'"
        ).fetchall()[0]
        models = con.execute(
            f"select model, count(distinct cutoff_date), sum(customers), {means} from mart.ltv_backtest "
            "where reason is null group by model order by model"
        ).fetchall()
    columns = ("model", "cut_offs", "customers", *_FIGURES)
    records = [
        dg.TableRecord({n: round(v, 4) if isinstance(v, float) else v for n, v in zip(columns, row, strict=True)})
        for row in models
    ]
    schema = dg.TableSchema([dg.TableColumn(n, "string" if n == "model" else "float") for n in columns])
    return dg.AssetCheckResult(
        passed=passed is not False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": reason, "figures": dg.MetadataValue.table(records, schema)},
    )
