"""Delivery days: one partition per table and day; day D carries the activity of business day D."""

from datetime import date

import dagster as dg

from orchestration.defs.resources import settings

delivery_days = dg.DailyPartitionsDefinition(start_date=settings.first_day.isoformat(), timezone=settings.timezone)

#: A range is one run, whatever its length.
one_run = dg.BackfillPolicy.single_run()


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The delivery days of the run, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]
