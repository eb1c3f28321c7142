"""What the models of customer value take for granted, checked; orchestration/customer_value does the work."""


def model(dbt, session):
    """One row per check, the gate of the back-test included."""
    from orchestration.customer_value import mart

    return mart.findings(
        dbt.source("control", "run_parameters"),
        dbt.ref("int_ltv_customers"),
        dbt.ref("int_ltv_order_days"),
        dbt.ref("int_ltv_backtested"),
    )
