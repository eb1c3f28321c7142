"""Dates and moments: a day of the calendar, a moment in UTC, or a violation."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.typed import BAD, read


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2023-02-29",
        "0000-01-01",
        "2024-1-1",
        "24-01-01",
        "01/02/2024",
        "2024-01-01 00:00:00",
        "infinity",
        "epoch",
        "-infinity",
        "0044-03-15 (BC)",
        "10000-01-01",
        "2024-13-01",
        "",
        "today",
        "20240101",
        "2024/01/01",
        " 2024-01-01",
    ],
)
def test_what_is_not_a_day_of_the_calendar_is_no_date(text: str) -> None:
    assert read("date", text) == BAD


@given(st.dates())
def test_every_day_comes_back_as_written(day: date) -> None:
    assert read("date", day.isoformat()) == day
    assert read("date", f"{day:%d/%m/}{day.year:04}", form="%d/%m/%Y") == day


@pytest.mark.parametrize("text", ["30/02/2024", "2024-02-01", "31/04/2024", "infinity", "1/2", "01/02/2024 10:00", ""])
def test_a_declared_format_holds_for_dates(text: str) -> None:
    assert read("date", text, form="%d/%m/%Y") == BAD


MORNING = datetime(2024, 1, 15, 8, 30)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-15 08:30:00",
        "2024-01-15T08:30:00",
        "2024-01-15T08:30:00Z",
        "2024-01-15T08:30Z",
        "2024-01-15 08:30",
        "2024-01-15 08:30:00.000",
        "2024-01-15 10:30:00+02:00",
        "2024-01-15T10:30:00+0200",
        "2024-01-15 10:30:00+02",
        "2024-01-15T03:30:00-05:00",
        "2024-01-15T14:00:00.000+05:30",
        "2024-01-15T08:30:00+00:00",
    ],
)
def test_a_moment_is_stored_in_utc_however_it_is_written(text: str) -> None:
    assert read("timestamp", text) == MORNING


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30 10:00:00",
        "2024-01-01",
        "2024-01-01 25:00:00",
        "2024-01-01 10:00:00 UTC",
        "2024-01-01 10:00:00 Europe/Paris",
        "infinity",
        "-infinity",
        "epoch",
        "0044-03-15 00:00:00 (BC)",
        "10000-01-01 00:00:00",
        "2024-01-01 10:00:00+25:00",
        "now",
        "2024-1-1 10:00:00",
        "2024-01-01 10:00:00.1234567",
        "2024-01-01 10:00:60",
        "0000-01-01 00:00:00",
        "",
        "1704067200",
    ],
)
def test_what_is_no_moment_is_no_timestamp(text: str) -> None:
    assert read("timestamp", text) == BAD


@given(st.datetimes(), st.integers(-14 * 4, 14 * 4))
def test_an_offset_is_never_dropped(moment: datetime, quarters: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    text = f"{moment.isoformat()}{aware:%z}"
    expected = datetime(1, 1, 1) + (moment - datetime(1, 1, 1) - timedelta(minutes=15 * quarters))
    for zone in ("UTC", "America/New_York"):
        value = read("timestamp", text, timezone=zone)
        assert value in (expected, BAD)
        assert value == expected or abs(quarters) == 14 * 4


@pytest.mark.parametrize("form", [None, "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-15 12:00:00", datetime(2024, 1, 15, 11)),
        ("2024-07-15 12:00:00", datetime(2024, 7, 15, 10)),
        ("2024-03-31 01:59:59", datetime(2024, 3, 31, 0, 59, 59)),
        # skipped by the clock: as if it had not been put forward yet
        ("2024-03-31 02:30:00", datetime(2024, 3, 31, 1, 30)),
        ("2024-03-31 03:00:00", datetime(2024, 3, 31, 1)),
        ("2024-10-27 01:59:59", datetime(2024, 10, 26, 23, 59, 59)),
        # told twice by the clock: the second time, after it was put back
        ("2024-10-27 02:30:00", datetime(2024, 10, 27, 1, 30)),
        ("2024-10-27 03:00:00", datetime(2024, 10, 27, 2)),
    ],
)
def test_local_times_without_an_offset_follow_daylight_saving(form: str | None, text: str, utc: datetime) -> None:
    assert read("timestamp", text, form=form, timezone="Europe/Paris") == utc


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda t: t.replace(microsecond=0)))
def test_a_local_time_is_the_moment_that_pythons_zones_know(local: datetime) -> None:
    zone = ZoneInfo("Europe/Paris")
    moments = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)}
    assert read("timestamp", str(local), timezone="Europe/Paris") in moments


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_a_format_with_an_offset_counts_from_it_and_not_from_the_zone(zone: str) -> None:
    form = "%d/%m/%Y %H:%M:%S %z"
    assert read("timestamp", "15/01/2024 10:30:00 +0200", form=form, timezone=zone) == MORNING
    assert read("timestamp", "15/01/2024 10:30:00", form=form, timezone=zone) == BAD


def test_a_typed_local_time_is_taken_in_the_contracts_zone() -> None:
    noon = datetime(2024, 7, 15, 12)
    assert read("timestamp", noon, native="timestamp", timezone="Europe/Paris") == datetime(2024, 7, 15, 10)
    aware = datetime(2024, 7, 15, 12, tzinfo=UTC)
    assert read("timestamp", aware, native="timestamptz", timezone="Europe/Paris") == noon
