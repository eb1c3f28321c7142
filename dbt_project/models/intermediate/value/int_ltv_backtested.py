"""Every model of customer value at every cut-off of the back-test; orchestration/customer_value does the work."""


def model(dbt, session):
    """One row per cut-off and model."""
    from orchestration.customer_value import mart

    return mart.backtested(
        dbt.source("control", "run_parameters"), dbt.ref("int_ltv_customers"), dbt.ref("int_ltv_order_days")
    )
