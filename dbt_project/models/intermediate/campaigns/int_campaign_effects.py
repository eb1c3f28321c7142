"""Effects of campaigns with a control group, arm by arm and outcome by outcome; orchestration/incrementality does the work."""


def model(dbt, session):
    """One row per campaign, arm (null: all that were treated) and outcome."""
    from orchestration.incrementality import mart

    return mart.effects(dbt.ref("int_campaign_arms"), dbt.ref("dim_campaign"))
