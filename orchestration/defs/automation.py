"""When things run and who hears of a failure."""

from datetime import date, timedelta

import dagster as dg

from orchestration.defs.history import RANGE_END, RANGE_START
from orchestration.defs.partitions import delivery_days
from orchestration.defs.resources import contracts, settings
from orchestration.extraction import pending_days

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("landing", "control"),
    partitions_def=delivery_days,
    description="Deliveries of the chosen days -> raw zone -> mart -> release.",
)


def window(through: date) -> tuple[date, date]:
    """The days of a night: yesterday, and back to the oldest delivery that is not loaded as it lies there.

    A delivery that was late, or broken and is now corrected, so comes in by itself.
    """
    return min([*pending_days(settings, contracts, through), through]), through


@dg.schedule(
    job=nightly,
    cron_schedule="0 3 * * *",
    execution_timezone=settings.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 03:00 business time.",
)
def nightly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run over the night's window."""
    yesterday = context.scheduled_execution_time.astimezone(settings.zone).date() - timedelta(days=1)
    if yesterday < settings.first_day:
        return dg.SkipReason(f"deliveries begin on {settings.first_day}")
    first, last = window(yesterday)
    return dg.RunRequest(run_key=last.isoformat(), tags={RANGE_START: first.isoformat(), RANGE_END: last.isoformat()})


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING, description="Tells FIDELIS_ALERT_URL (apprise) of failed runs."
)
def failure_alert(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """One message per failed run: which, and why; no data of any row."""
    if not settings.alert_url:
        return dg.SkipReason("FIDELIS_ALERT_URL is empty: nobody is told")
    from apprise import Apprise

    failed = f"Run {context.dagster_run.run_id} failed: {context.failure_event.message}"
    message = f"{failed}. A release is published whole or not at all; `fidelis runs` says which."
    sent = Apprise([settings.alert_url]).notify(title=f"Fidelis: {context.dagster_run.job_name} failed", body=message)
    return None if sent else dg.SkipReason("the alert could not be delivered; see the daemon's log")
