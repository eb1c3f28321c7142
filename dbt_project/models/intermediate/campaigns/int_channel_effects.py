"""Removal effect of each channel, of a Markov chain over the paths; orchestration/attribution does the work."""


def model(dbt, session):
    """One row per channel."""
    from orchestration.attribution import removal_effects_table

    return removal_effects_table(dbt.ref("int_channel_transitions"))
