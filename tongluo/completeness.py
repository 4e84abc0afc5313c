"""What a station should have sent in a day, and what is missing of it. Pure: times and numbers in, numbers out.

A day is a local one: it holds the readings after its midnight up to and including the next, as a gauge reports what
fell before. A metric's slots are as wide as the station's interval; the first reading of the day is in the middle of
one, and a slot belongs to the day its middle lies in. A slot with a reading within half an interval of its middle is
there, however many readings it has: a gauge that trembles around midnight misses nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tongluo.quality import Flag

# What a device tells of itself now and then; no interval is registered for it, so that none is missed.
NOT_EXPECTED: Final = frozenset({"battery"})
# Recorded later after its time than this, and than an interval, a reading is late, whatever its flags say.
LATE_AFTER: Final = timedelta(minutes=10)
# Sequence numbers that jump ahead or fall back by more were begun anew: a device was exchanged or restarted.
SEQ_AHEAD: Final = 10_000
SEQ_BACK: Final = 100
FLAGS: Final[tuple[Flag, ...]] = tuple(Flag)


def late_after(interval_s: int) -> timedelta:
    """How long after its time a reading may be recorded without being late."""
    return max(LATE_AFTER, timedelta(seconds=interval_s))


class Day(msgspec.Struct, frozen=True):
    """A local day and its bounds in UTC: begin < time <= end."""

    date: date
    begin: datetime
    end: datetime


def days(first: date, last: date, zone: ZoneInfo) -> list[Day]:
    """The local days from `first` to `last`, both included."""
    found: list[Day] = []
    day = first
    while day <= last:
        following = day + timedelta(days=1)
        found.append(Day(day, _midnight(day, zone), _midnight(following, zone)))
        day = following
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(ZoneInfo("UTC"))


class Tally(msgspec.Struct, frozen=True):
    """What came of one metric of one station in one day. `first` was its first reading; `filled` slots were expected and are there.

    `flagged` has how many readings bear any flag, then how many bear each of FLAGS.
    """

    first: datetime
    received: int
    filled: int
    late: int
    flagged: tuple[int, ...]


class Expected(msgspec.Struct, frozen=True):
    """What of a day a station was to fill: slots with begin < middle <= end. None where begin >= end."""

    begin: datetime
    end: datetime
    interval: timedelta

    def anchor(self, first: datetime | None) -> datetime:
        """The middle of slot 0: the first reading, or without one an interval after the beginning."""
        return self.begin + self.interval if first is None else first

    def slots(self, first: datetime | None) -> tuple[int, int]:
        """The numbers of the first slot and of the one after the last."""
        if self.begin >= self.end:
            return 0, 0
        anchor = self.anchor(first)
        low = (self.begin - anchor) // self.interval + 1
        return low, max(low, (self.end - anchor) // self.interval + 1)


def expected(day: Day, interval_s: int, since: datetime | None, now: datetime) -> Expected:
    """What was to come in a day of a station that is known since `since` (None: not at all), seen at `now`.

    A slot that is not over yet is not expected yet.
    """
    interval = timedelta(seconds=interval_s)
    if since is None:
        return Expected(day.end, day.end, interval)
    return Expected(max(day.begin, since - interval / 2), min(day.end, now - interval / 2), interval)


class Line(msgspec.Struct, frozen=True):
    """One metric, one station or one county in one day. `missing` is what was expected and has no reading.

    `expected` is None for what no interval is registered for. What is received may be more than was expected: some
    speak more often.
    """

    expected: int | None
    received: int
    late: int
    flagged: tuple[int, ...]
    missing: int

    @property
    def rate(self) -> float | None:
        """The share of what was expected that is there."""
        return None if not self.expected else 1.0 - self.missing / self.expected


def line(metric: str, wanted: Expected, tally: Tally | None) -> Line:
    """What a metric's day comes to."""
    flagged = tally.flagged if tally is not None else (0,) * (len(FLAGS) + 1)
    received, late = (tally.received, tally.late) if tally is not None else (0, 0)
    if metric in NOT_EXPECTED:
        return Line(None, received, late, flagged, 0)
    low, high = wanted.slots(None if tally is None else tally.first)
    filled = 0 if tally is None else tally.filled
    return Line(high - low, received, late, flagged, high - low - filled)


def total(lines: Sequence[Line]) -> Line:
    """Several lines as one."""
    expected_ones = [one.expected for one in lines if one.expected is not None]
    return Line(
        sum(expected_ones) if expected_ones else None,
        sum(one.received for one in lines),
        sum(one.late for one in lines),
        tuple(sum(column) for column in zip(*(one.flagged for one in lines), strict=True))
        or (0,) * (len(FLAGS) + 1),
        sum(one.missing for one in lines),
    )


def missing(
    wanted: Expected, first: datetime | None, times: Sequence[datetime]
) -> list[tuple[datetime, datetime]]:
    """The spans of the slots without a reading, neighbours joined.

    `times` are those of one metric from half an interval before the day to half an interval after it, `first` the first
    of them in it.
    """
    low, high = wanted.slots(first)
    anchor = wanted.anchor(first)
    filled = {slot_of(moment, anchor, wanted.interval) for moment in times} if first is not None else set()
    spans: list[tuple[datetime, datetime]] = []
    for number in range(low, high):
        if number in filled:
            continue
        begin = anchor + number * wanted.interval - wanted.interval / 2
        if spans and spans[-1][1] == begin:
            spans[-1] = (spans[-1][0], begin + wanted.interval)
        else:
            spans.append((begin, begin + wanted.interval))
    return spans


def slot_of(moment: datetime, anchor: datetime, interval: timedelta) -> int:
    """The number of the slot a reading lies in."""
    return (moment - anchor + interval / 2) // interval
