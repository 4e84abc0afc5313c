"""The only wall clock, and the event clock that stands in for it in replay mode."""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol


class Clock(Protocol):
    """What time it is for the judgement and for the people who look."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...

    def observe(self, event_time: datetime) -> None:
        """Take note of an accepted reading's time."""
        ...


def wall_now() -> datetime:
    """Real UTC time, for what happens on real wires: signatures, sessions, leases."""
    return datetime.now(UTC)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class WallClock:
    """Live: now is the wall, whatever the readings say."""

    def now(self) -> datetime:
        return wall_now()

    def observe(self, event_time: datetime) -> None:
        """Readings do not move the wall."""


class EventClock:
    """Replay: now is the newest event time seen, so 2006 passes in seconds and gives what 2006 gave."""

    def __init__(self, start: datetime | None = None) -> None:
        self._newest = start

    def now(self) -> datetime:
        return self._newest if self._newest is not None else wall_now()

    def observe(self, event_time: datetime) -> None:
        if self._newest is None or event_time > self._newest:
            self._newest = event_time
