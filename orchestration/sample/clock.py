"""Business days, seasons and daylight saving of the sample retailer (Europe/Paris)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np

from orchestration.sample.draws import Draws, Floats, Ints

DAY = 86_400
HOUR = 3_600

# thousandths of the yearly mean; weighted by the days of a year they average 1
_MONTHS = (900, 850, 920, 950, 980, 1000, 950, 830, 960, 1000, 1200, 1449)
_WEEKDAYS = (850, 900, 980, 1000, 1120, 1450, 700)

# weight of each hour of the day
SHOP_HOURS = (0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 10, 9, 6, 8, 10, 12, 13, 12, 6, 0, 0, 0, 0)
WEB_HOURS = (6, 3, 1, 1, 1, 1, 2, 4, 5, 6, 7, 7, 8, 7, 6, 6, 6, 7, 9, 11, 14, 15, 12, 9)
SEND_HOURS = (0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 14, 6, 4, 4, 4, 6, 10, 12, 6, 0, 0, 0, 0, 0)


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def _utc_offset_at_midnight(day: date) -> int:
    """Seconds that local time is ahead of UTC when `day` begins (European Union rule since 1996)."""
    summer = _last_sunday(day.year, 3) < day <= _last_sunday(day.year, 10)
    return 2 * HOUR if summer else HOUR


def epoch_day(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Clock:
    """The business days from `start` to `end`, numbered from 0.

    Instants are whole UTC seconds since 1970; a business day runs from local midnight to local midnight,
    23 or 25 hours at the switches.
    """

    start: date
    end: date

    @cached_property
    def days(self) -> int:
        """How many days there are."""
        return (self.end - self.start).days + 1

    @cached_property
    def first_epoch_day(self) -> int:
        """Day 0 as days since 1970-01-01."""
        return epoch_day(self.start)

    @cached_property
    def dates(self) -> list[date]:
        """The days as dates."""
        return [self.start + timedelta(days=d) for d in range(self.days)]

    @cached_property
    def midnights(self) -> Ints:
        """Instant at which each day begins; one more than days, the last is the end of the range."""
        instants = []
        for d in range(self.days + 1):
            day = self.start + timedelta(days=d)
            begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
            instants.append(begin - _utc_offset_at_midnight(day))
        return np.asarray(instants, dtype=np.int64)

    @cached_property
    def switches(self) -> Ints:
        """Days of the range on which the clocks change."""
        lengths = np.diff(self.midnights)
        return np.flatnonzero(lengths != DAY).astype(np.int64)

    @cached_property
    def season(self) -> Floats:
        """Operational time at the beginning of each day: cumulated seasonal weight, about one a day."""
        weights = [_MONTHS[d.month - 1] * _WEEKDAYS[d.weekday()] for d in self.dates]
        return np.concatenate([[0], np.cumsum(np.asarray(weights, dtype=np.int64))]).astype(np.float64) / 1e6

    def at(self, day: Ints, second: Ints) -> Ints:
        """Instant `second` seconds after the beginning of `day`, kept inside that day."""
        length = self.midnights[day + 1] - self.midnights[day]
        result: Ints = self.midnights[day] + np.minimum(second, length - 1)
        return result

    def day_of(self, instant: Ints) -> Ints:
        """Business day of each instant; -1 before the range, `days` after it."""
        return (np.searchsorted(self.midnights, instant, side="right") - 1).astype(np.int64)

    def last_instant(self) -> int:
        """The last second of the range."""
        return int(self.midnights[-1]) - 1

    def season_day(self, operational: Floats) -> Ints:
        """Day on which an operational time falls."""
        day = np.searchsorted(self.season, operational, side="right") - 1
        return np.clip(day, 0, self.days - 1).astype(np.int64)

    def wall(self, instant: Ints) -> Ints:
        """Local wall-clock seconds of instants; around a switch moved to 04:00, which exists once."""
        day = np.clip(self.day_of(instant), 0, self.days - 1)
        begin = (self.first_epoch_day + day) * DAY
        seconds = begin + instant - self.midnights[day]
        if not len(self.switches):
            return seconds
        elapsed = instant - self.midnights[day]
        switching = np.isin(day, self.switches)
        shift = np.where(switching, self.midnights[day + 1] - self.midnights[day] - DAY, 0)
        early = switching & (elapsed < 5 * HOUR)
        result: Ints = np.where(early, begin + 4 * HOUR, seconds - shift)
        return result

    def wall_at(self, day: Ints, second: Ints) -> Ints:
        """Local wall-clock seconds of a day (may lie before the range) and a second of it."""
        result: Ints = (self.first_epoch_day + day) * DAY + second
        return result


def second_of_day(draws: Draws, hours: tuple[int, ...], n: int) -> Ints:
    """n seconds of the day, the hours weighted by `hours`."""
    result: Ints = draws.pick(hours, n) * HOUR + draws.integers(0, HOUR, n)
    return result
