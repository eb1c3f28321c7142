"""Customer values by the model that the back-test chose; orchestration/customer_value does the work."""


def model(dbt, session):
    """One row per customer with a kept order; where no model deserves it, the published one."""
    from orchestration.customer_value import mart

    return mart.estimated(
        dbt.source("control", "run_parameters"),
        dbt.ref("int_ltv_customers"),
        dbt.ref("int_ltv_order_days"),
        dbt.ref("int_ltv_backtested"),
    )
