"""What the county-wide judgement listens to: levels of sites, sightings, silences, the weather, the passing of time.

They stand in one topic of one partition, so that whoever judges them sees one order, the same after every restart.
"""

from datetime import datetime

import msgspec

from tongluo.detection import Detection
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.liveness import StationEvent


class SiteLevel(msgspec.Struct, frozen=True, tag="level", omit_defaults=True, gc=False):
    """A station rule's level at a site changed (None: given up). `figure` says by which figure."""

    rule: str
    site: str
    time: datetime
    level: Level | None
    figure: Words
    drill: bool = False


class Sighting(msgspec.Struct, frozen=True, tag="sighting"):
    """A camera saw something."""

    detection: Detection


class Spoke(msgspec.Struct, frozen=True, tag="event"):
    """A station fell silent or speaks again."""

    event: StationEvent


class Weather(msgspec.Struct, frozen=True, tag="weather"):
    """Noon weather of a station (for fire weather): °C, %, m/s, and the rain (mm) of the 24 hours before."""

    station: str
    site: str
    time: datetime
    temperature_c: float
    humidity_pct: float
    wind_m_s: float
    rain_24h_mm: float


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """It is `time` now, though nothing came."""

    time: datetime


Signal = SiteLevel | Sighting | Spoke | Weather | Tick


def time_of(signal: Signal) -> datetime:
    """A signal's event time."""
    match signal:
        case Sighting(detection):
            return detection.time
        case Spoke(event):
            return event.time
        case _:
            return signal.time
