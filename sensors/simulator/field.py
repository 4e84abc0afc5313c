"""The readings of a county's instruments in time order: a record of the hours before T0, then live ones.

Every reading is a pure function of (seed, T0, weather), so an outage of the link needs no buffer here: what has not
been sent is made again when the link is back, in order, in constant memory.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sensors.simulator.scenarios import Weather
from sensors.simulator.waveforms import WAVEFORMS, Moment, draw, soaked_mm
from tongluo.region import County, Station

RECORD: Final = timedelta(hours=6)
_GRID_S: Final = 300
_BATTERY_S: Final = 1800
# From T0 on sampling is a time-lapse like the storm itself: these seconds stand for a station's own interval. Told to
# sample five times as densely, a gauge that spoke every 5 s speaks every second.
_LIVE_S: Final = {"rain": 5, "displacement": 20, "battery": 30}
_LIVE_OTHER_S: Final = 15


class Observation(NamedTuple):
    """One value at one whole second, in the metric's unit."""

    time: datetime
    station: str
    metric: str
    value: float


# The interval, in seconds, that a station is to keep at a time.
Interval = Callable[[Station, datetime], int]


def own_interval(station: Station, time: datetime) -> int:
    """What nobody has asked to be otherwise."""
    return station.interval_s


@dataclass(frozen=True)
class Field:
    """A county under some weather. `anchor` is T0, a whole second: the record ends there and the live part begins."""

    county: County
    weather: Weather
    seed: int
    anchor: datetime

    def record(self, gateway: str, after: datetime) -> Iterator[Observation]:
        """What the gateway's stations noted on the five-minute grid after `after` and up to T0."""
        channels = self._channels(gateway)
        stamp = int(after.timestamp()) // _GRID_S * _GRID_S + _GRID_S
        while stamp <= self.anchor.timestamp():
            for station, metric in channels:
                every_s = _record_every_s(station, metric)
                if stamp % every_s == 0:
                    yield self._observe(station, metric, _at(stamp - every_s), _at(stamp))
            stamp += _GRID_S

    def live(self, gateway: str, interval: Interval = own_interval) -> Iterator[Observation]:
        """What the gateway's stations say from T0 on, without end; another `interval` counts from the next but one."""
        return heapq.merge(*(self._live_channel(*channel, interval) for channel in self._channels(gateway)))

    def _live_channel(self, station: Station, metric: str, interval: Interval) -> Iterator[Observation]:
        every_s = _LIVE_S.get(metric, _LIVE_OTHER_S)
        anchor_s = int(self.anchor.timestamp())
        # The first live rain report also brings what fell since the record's last one.
        before = anchor_s // (recorded := _record_every_s(station, metric)) * recorded
        stamp = anchor_s + int(draw(self.seed, station.id, metric, "phase").integers(1, every_s + 1))
        while True:
            yield self._observe(station, metric, _at(before), _at(stamp))
            share = interval(station, _at(stamp)) / station.interval_s
            before, stamp = stamp, stamp + max(1, round(every_s * share))

    def _channels(self, gateway: str) -> list[tuple[Station, str]]:
        return [
            (station, metric)
            for _, station in sorted(self.county.stations.items())
            for metric in station.metrics
            if station.gateway == gateway and (metric == "rain" or metric in WAVEFORMS)
        ]

    def _observe(self, station: Station, metric: str, before: datetime, time: datetime) -> Observation:
        if metric == "rain":
            return Observation(time, station.id, metric, self._tipped_mm(station, before, time))
        soaked = soaked_mm(lambda at: self.weather.rain_mm(station, at), time)
        return Observation(
            time, station.id, metric, WAVEFORMS[metric](Moment(self.seed, station.id, time, soaked))
        )

    def _tipped_mm(self, station: Station, before: datetime, time: datetime) -> float:
        """Rain of (before, time] as a tipping bucket of 0.1 mm counts it, so that no water is lost to rounding."""
        return (self._tips(station, time) - self._tips(station, before)) / 10.0

    def _tips(self, station: Station, time: datetime) -> int:
        return int(self.weather.rain_mm(station, time) * 10.0 + 1e-9)


def record_start(anchor: datetime) -> datetime:
    """After this time the record of the hours before T0 begins: its first stamp is at or just before T0 - 6 h."""
    start = int((anchor - RECORD).timestamp())
    return _at(start // _GRID_S * _GRID_S - 1)


def _record_every_s(station: Station, metric: str) -> int:
    """The station's own interval, on the grid; the battery is told twice an hour."""
    if metric == "battery":
        return _BATTERY_S
    return max(1, -(-station.interval_s // _GRID_S)) * _GRID_S


def _at(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
