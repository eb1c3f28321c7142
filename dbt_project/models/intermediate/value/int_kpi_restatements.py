"""What the release to come changes in published figures, after the restatements of before; orchestration/restatements does the work."""


def model(dbt, session):
    """One row per figure, cause and release. The tables named are read by name, beside those of the published release."""
    from orchestration.restatements import mart

    dbt.ref("kpi_monthly")
    dbt.ref("kpi_half_yearly")
    dbt.ref("customer_rfm_monthly")
    dbt.ref("fct_orders")
    dbt.ref("fct_order_lines")
    dbt.ref("fct_returns")
    dbt.ref("int_undone_orders")
    dbt.ref("dim_product")
    dbt.ref("stg_shop__orders")
    dbt.ref("stg_shop__order_lines")
    dbt.ref("stg_shop__returns")
    dbt.ref("int_customer_identity")
    dbt.ref("int_record_identity")
    window_months = int(dbt.config.meta_get("rfm_window_months"))
    return mart.restated(session, dbt.source("control", "run_parameters"), window_months)
