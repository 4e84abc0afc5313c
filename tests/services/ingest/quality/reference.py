"""The steps one reading after the other, slow and obvious: what the fast ones must agree with."""

from dataclasses import dataclass, field
from datetime import timedelta

from services.ingest.places import Places
from services.ingest.quality import limits
from tongluo.quality import Flag, Limits

MINUTE_US = 60_000_000
LATE_AFTER = timedelta(hours=1)


@dataclass
class Past:
    newest_us: int | None = None
    last: tuple[int, float] | None = None
    same_since_us: int = 0
    sound: float | None = None
    times: list[int] = field(default_factory=list)


class Slow:
    """The same judgement as Inspector's, without the neighbours."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._past: dict[int, Past] = {}
        self._low: set[str] = set()

    def flags(self, number: int, time_us: int, value: float, received_us: int) -> Flag:
        series, station = self._places.series[number], self._places.stations[number]
        bounds = limits.of(series.metric, station.limits.get(series.metric))
        past = self._past.setdefault(number, Past())
        found = self._alone(bounds, value, time_us, received_us)
        late_after = max(LATE_AFTER, 3 * timedelta(seconds=station.interval_s))
        if received_us - time_us > late_after / timedelta(microseconds=1):
            found |= Flag.LATE
        if series.metric == "battery" and bounds.warn_below is not None:
            (self._low.add if value < bounds.warn_below else self._low.discard)(station.id)
        if station.id in self._low:
            found |= Flag.BATTERY
        newer = past.newest_us is None or time_us > past.newest_us
        if time_us in past.times:
            found |= Flag.DUPLICATE
        else:
            past.times.append(time_us)
            found |= Flag(0) if newer else Flag.ORDER
        if newer and not found & Flag.RANGE:
            found |= self._after(past, bounds, series.metric == "rain", time_us, value)
        return found

    @staticmethod
    def _alone(bounds: Limits, value: float, time_us: int, received_us: int) -> Flag:
        found = Flag(0)
        if bounds.lowest is not None and value < bounds.lowest:
            found |= Flag.RANGE
        if bounds.highest is not None and value > bounds.highest:
            found |= Flag.RANGE
        return found | (Flag.CLOCK if time_us > received_us + MINUTE_US else Flag(0))

    @staticmethod
    def _after(past: Past, bounds: Limits, rain: bool, time_us: int, value: float) -> Flag:
        found = Flag(0)
        pause_s = (time_us - past.last[0]) / 1e6 if past.last is not None else 0.0
        if past.last is None or past.last[1] != value or pause_s > (bounds.stuck_after_s or float("inf")):
            past.same_since_us = time_us
        if bounds.stuck_after_s and time_us - past.same_since_us > bounds.stuck_after_s * 1e6:
            found |= Flag(0) if rain and value < 1.0 else Flag.STUCK
        if past.last is not None:
            minutes = max((time_us - past.last[0]) / MINUTE_US, 1.0)
            change = value if rain else abs(value - past.last[1])
            if bounds.per_minute and change > bounds.per_minute * minutes:
                found |= Flag.RATE
        spike = bounds.spike is not None and past.last is not None and past.sound is not None and (
            abs(value - past.last[1]) > bounds.spike and abs(value - past.sound) > bounds.spike
        )  # fmt: skip
        if spike:
            found |= Flag.SPIKE
        else:
            past.sound = value
        past.last, past.newest_us = (time_us, value), time_us
        return found
