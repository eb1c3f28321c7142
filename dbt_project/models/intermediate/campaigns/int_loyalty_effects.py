"""What loyalty actions brought over 12, 24 and 36 months; orchestration/incrementality does the work."""


def model(dbt, session):
    """One row per comparison and horizon."""
    from orchestration.incrementality import mart

    return mart.loyalty(dbt.ref("int_loyalty_strata"))
