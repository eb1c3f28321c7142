"""The gate's check, on the marts of a build."""

from datetime import date

import dagster as dg
import duckdb
import pytest

from orchestration import warehouse
from orchestration.settings import Settings


@pytest.mark.parametrize(("passed", "expected"), [("true", True), ("false", False), ("null", True)])
def test_a_closed_gate_is_a_red_warning_with_its_figures(tmp_path, monkeypatch, passed, expected):
    from orchestration.defs import customer_value

    settings = Settings(_env_file=None, home=tmp_path)
    settings.warehouse_dir.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse_dir / warehouse.DATAMART)) as con:
        con.sql("create schema mart")
        con.sql(
            f"create table mart.ltv_findings as select 'back_test_gate' as check_name, {passed} as passed, 'why' as message"
        )
        figures = ", ".join(f"0.5 as {name}" for name in customer_value._FIGURES)
        con.execute(
            f"create table mart.ltv_backtest as select cast(? as date) as cutoff_date, 'bg_nbd' as model, 10 as customers, "
            f"cast(null as varchar) as reason, {figures}",
            [date(2024, 1, 1)],
        )
    monkeypatch.setattr(customer_value, "settings", settings)
    result = customer_value.deserves_to_be_published()
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is expected
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["verdict"].value == "why"
    record = result.metadata["figures"].value.records[0].data
    assert (record["model"], record["cut_offs"], record["mae"]) == ("bg_nbd", 1, 0.5)
