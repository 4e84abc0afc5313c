"""Many readings as columns: what one entry of the log holds, quick to write, to read, and to judge.

What a station and metric, a site and a gateway are called is said once, however many readings follow.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tongluo.reading import Reading

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Series(msgspec.Struct, frozen=True, array_like=True):
    """What stays the same from reading to reading."""

    station: str
    metric: str
    site: str
    gateway: str


class Readings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Readings in the order in which they came, one element of each column a reading.

    `which` are indexes into `series`, `time_us` microseconds since 1970 (UTC event time), `value` in the metric's own
    unit. `flags` (tongluo/quality.py) is empty when no reading has any, `seq` when none has a number. `by` names the
    process that took them in.
    """

    series: tuple[Series, ...]
    which: list[int]
    time_us: list[int]
    value: list[float]
    flags: list[int] = []
    seq: list[int | None] = []
    by: str = ""

    def __len__(self) -> int:
        return len(self.which)

    def each(self) -> Iterator[Reading]:
        """One by one. Raises ValueError when the columns do not fit together (`fault` says so before)."""
        flags = self.flags or [0] * len(self)
        seqs = self.seq or [None] * len(self)
        for nth, at, value, flag, seq in zip(self.which, self.time_us, self.value, flags, seqs, strict=True):
            of = self.series[nth]
            yield Reading(of.station, of.metric, moment(at), value, of.site, of.gateway, flag, seq)

    def fault(self) -> str | None:
        """What is wrong with the columns, if anything; for whoever reads them from outside."""
        number = len(self.which)
        lengths = {len(self.time_us), len(self.value), len(self.flags) or number, len(self.seq) or number}
        if lengths != {number}:
            return "its columns differ in length"
        if number and not 0 <= min(self.which) <= max(self.which) < len(self.series):
            return "a reading is of a series that is not there"
        if number and not _FIRST_US <= min(self.time_us) <= max(self.time_us) <= _LAST_US:
            return "a time is in no calendar"
        return None


def gathered(readings: Iterable[Reading], by: str = "") -> Readings:
    """The same readings as columns."""
    index: dict[Series, int] = {}
    several = list(readings)
    which = [
        index.setdefault(Series(one.station, one.metric, one.site, one.gateway), len(index))
        for one in several
    ]
    flags = [one.flags for one in several]
    seqs = [one.seq for one in several]
    return Readings(
        tuple(index),
        which,
        [microseconds(one.time) for one in several],
        [one.value for one in several],
        flags if any(flags) else [],
        seqs if any(seq is not None for seq in seqs) else [],
        by,
    )


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (time - _EPOCH) // _MICROSECOND


def moment(time_us: int) -> datetime:
    """The aware UTC time of microseconds since 1970. Raises OverflowError outside the calendar."""
    return _EPOCH + timedelta(microseconds=time_us)


_FIRST_US: Final = microseconds(datetime(1, 1, 2, tzinfo=UTC))
_LAST_US: Final = microseconds(datetime(9999, 12, 30, tzinfo=UTC))
