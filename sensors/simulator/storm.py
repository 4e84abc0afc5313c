"""One storm over a county's rain gauges: how much falls where and when, as closed forms of time.

The storm is told around its anchor T0. Hours of rain come before it; at T0 a cloudburst breaks over one gauge (the
focus), moves on and is over four minutes later. The burst is a time-lapse: it drops in seconds what nature needs an
hour for, so that somebody who watches sees alerts rise. How far each zone of the storm reaches is fitted to the
net, so that it covers the same number of gauges wherever it breaks out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sensors.simulator.waveforms import draw
from tongluo.region import Station

BURST: Final = timedelta(minutes=4)
_FIRST_PASSAGE_S: Final = 23.0  # the focus then crosses 50 mm some 20 s after T0
_LAST_PASSAGE_S: Final = 180.0
_PASSAGE_WIDTH_S: Final = 18.0
_ON_THE_WAY: Final = 7  # gauges the burst is steered to: those that end orange, yellow or blue
_KM_PER_DEGREE: Final = 111.2


class Fall(NamedTuple):
    """Rain in mm by part of the story, and when the burst's middle passes, in seconds after T0."""

    shower: float
    early: float
    build_up: float
    burst: float
    passage_s: float


class Zone(NamedTuple):
    """How many gauges a zone covers and what falls there in mm, (at its inner edge, at its outer edge)."""

    gauges: int
    shower: float
    early: float
    build_up: tuple[float, float]
    burst: tuple[float, float]


# Signals: 3 h >= 50 mm orange, 6 h >= 50 yellow, 12 h >= 50 blue (CMA order 16, 2007). No window holds 50 mm before T0.
AFTER_RAIN: Final = (
    Zone(4, shower=0.0, early=0.0, build_up=(43.5, 40.5), burst=(18.0, 15.0)),  # 3 h: orange
    Zone(2, shower=0.0, early=24.0, build_up=(15.0, 14.0), burst=(14.0, 13.5)),  # 6 h: yellow
    # Half of the shower falls before the record begins; the other half is older than 6 h when the burst comes.
    Zone(1, shower=12.0, early=8.0, build_up=(24.0, 24.0), burst=(14.0, 14.0)),  # 12 h: blue
    Zone(4, shower=0.0, early=0.0, build_up=(14.0, 5.0), burst=(5.0, 2.0)),
)
OUT_OF_THE_BLUE: Final = (
    # Not more, and next to nothing around: earlier runs may have left 40 mm, and red (100 mm) is not this story.
    Zone(4, shower=0.0, early=0.0, build_up=(0.0, 0.0), burst=(54.0, 52.0)),
    Zone(7, shower=0.0, early=0.0, build_up=(0.0, 0.0), burst=(2.0, 1.0)),
)


@dataclass(frozen=True)
class Storm:
    """The rain of every station. `anchor` is T0."""

    anchor: datetime
    falls: Mapping[str, Fall]

    def rain_mm(self, station: Station, time: datetime) -> float:
        """Rain fallen at the station up to `time`, in mm since before the storm."""
        fall = self.falls.get(station.id)
        if fall is None:
            return 0.0
        since_s = (time - self.anchor).total_seconds()
        return (
            fall.shower * _steady(since_s, -22200.0, -21600.0)  # 6 h 10 min to 6 h before T0
            + fall.early * _swell(since_s, -21000.0, -11400.0)  # 5 h 50 min to 3 h 10 min before
            + fall.build_up * _steady(since_s, -10200.0, 0.0) ** 2  # from 2 h 50 min before, ever harder
            + fall.burst * _pass_over(since_s, fall.passage_s)
        )


def storm_over(
    focus: Station, stations: Sequence[Station], zones: Sequence[Zone], anchor: datetime, seed: int
) -> Storm:
    """The storm that breaks out over the rain gauge `focus`."""
    gauges = nearest(focus, [station for station in stations if "rain" in station.metrics])
    reaches = _reaches(focus, gauges, zones)
    passages = _passages(focus, gauges[:_ON_THE_WAY], stations)
    falls: dict[str, Fall] = {}
    for station in stations:
        distance = distance_km(focus, station)
        fall = _fall(distance, zones, reaches, passages[station.id])
        if fall is not None:
            falls[station.id] = _uneven(fall, station, distance, seed)
    return Storm(anchor, falls)


def nearest(focus: Station, gauges: Sequence[Station]) -> list[Station]:
    """The gauges by distance from the focus, which comes first."""
    return sorted(gauges, key=lambda gauge: (distance_km(focus, gauge), gauge.id))


def distance_km(a: Station, b: Station) -> float:
    return math.hypot(*_offset_km(a, b))


def _offset_km(a: Station, b: Station) -> tuple[float, float]:
    """From a to b: (east, north), on a plane, which is good enough inside one county."""
    east = (b.longitude - a.longitude) * _KM_PER_DEGREE * math.cos(math.radians(a.latitude))
    return east, (b.latitude - a.latitude) * _KM_PER_DEGREE


def _reaches(focus: Station, gauges: Sequence[Station], zones: Sequence[Zone]) -> list[float]:
    """Outer radius of each zone in km: half-way between its last gauge and the next."""
    reaches, covered = [], 0
    for zone in zones:
        covered += zone.gauges
        last = gauges[min(covered, len(gauges)) - 1]
        beyond = gauges[min(covered, len(gauges) - 1)]
        reaches.append((distance_km(focus, last) + distance_km(focus, beyond)) / 2.0)
    return reaches


def _passages(focus: Station, gauges: Sequence[Station], stations: Sequence[Station]) -> dict[str, float]:
    """When the burst's middle reaches each station, in seconds after T0."""
    heading = _heading(focus, gauges)
    farthest_km = max(_ahead_km(focus, gauge, heading) for gauge in gauges) or 1.0
    s_per_km = (_LAST_PASSAGE_S - _FIRST_PASSAGE_S) / farthest_km
    return {
        station.id: min(
            _FIRST_PASSAGE_S + s_per_km * _ahead_km(focus, station, heading), _LAST_PASSAGE_S + 20.0
        )
        for station in stations
    }


def _heading(focus: Station, gauges: Sequence[Station]) -> tuple[float, float]:
    """Unit vector (east, north) from the focus to the middle of the gauges: the way the burst moves."""
    offsets = [_offset_km(focus, gauge) for gauge in gauges]
    east, north = sum(offset[0] for offset in offsets), sum(offset[1] for offset in offsets)
    length = math.hypot(east, north) or 1.0
    return east / length, north / length


def _ahead_km(focus: Station, station: Station, heading: tuple[float, float]) -> float:
    """How far the burst has to go to reach the station; it also widens, so what lies aside waits half as long."""
    east, north = _offset_km(focus, station)
    return max(east * heading[0] + north * heading[1], math.hypot(east, north) / 2.0)


def _fall(distance: float, zones: Sequence[Zone], reaches: Sequence[float], passage_s: float) -> Fall | None:
    inner = 0.0
    for zone, outer in zip(zones, reaches, strict=True):
        if distance <= outer:
            part = (distance - inner) / (outer - inner) if outer > inner else 0.0
            build_up, burst = (near + part * (far - near) for near, far in (zone.build_up, zone.burst))
            return Fall(zone.shower, zone.early, build_up, burst, passage_s)
        inner = outer
    return None


def _uneven(fall: Fall, station: Station, distance: float, seed: int) -> Fall:
    """Up to one per cent more or less than the zone's rain, nothing at the focus, whose moment is promised."""
    factor = 1.0 + 0.01 * min(1.0, distance / 5.0) * float(draw(seed, station.id, "rain").uniform(-1.0, 1.0))
    shower, early, build_up, burst = (amount * factor for amount in fall[:4])
    return Fall(shower, early, build_up, burst, fall.passage_s)


def _steady(time_s: float, start_s: float, end_s: float) -> float:
    return min(1.0, max(0.0, (time_s - start_s) / (end_s - start_s)))


def _swell(time_s: float, start_s: float, end_s: float) -> float:
    return (1.0 - math.cos(math.pi * _steady(time_s, start_s, end_s))) / 2.0


def _pass_over(time_s: float, passage_s: float) -> float:
    """The share of a burst fallen by `time_s`: a bell curve cut off at T0 and at its end."""
    end_s = BURST.total_seconds()
    low, high = _bell(0.0, passage_s), _bell(end_s, passage_s)
    return (_bell(min(end_s, max(0.0, time_s)), passage_s) - low) / (high - low)


def _bell(time_s: float, passage_s: float) -> float:
    return 0.5 * (1.0 + math.erf((time_s - passage_s) / _PASSAGE_WIDTH_S / math.sqrt(2.0)))
