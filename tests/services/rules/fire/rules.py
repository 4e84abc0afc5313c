"""A fire rule, a county, and what its cameras and weather stations may say, for the tests."""

import math
from datetime import UTC, datetime, timedelta

from services.rules.catalogue.model import FireRule
from tongluo.detection import Detection, Sign
from tongluo.hazards import Words
from tongluo.region import County, Site, SiteKind, Station, StationKind
from tongluo.signal import Sighting, Signal, Weather

RULE = FireRule("forest_fire", "1", "forest_fire", Words("森林火灾", "Forest fire"), "test")

# Cameras of two sites around 28.1 N 120.3 E, some ten kilometres apart, and two on one mast.
PLACES = {
    "C-1": ("F-1", 28.14, 120.25),
    "C-2": ("F-1", 28.14, 120.35),
    "C-3": ("F-2", 28.25, 120.30),
    "C-4": ("F-2", 28.2501, 120.30),
    "C-5": ("F-3", 28.30, 120.302),
    "C-0": ("F-1", 0.0, 0.0),
    "W-1": ("F-1", 28.14, 120.26),
}


def station(name: str, site: str, latitude: float, longitude: float) -> Station:
    kind = StationKind.RAIN_GAUGE if name.startswith("W") else StationKind.FIRE_CAMERA
    return Station(name, f"{name}号", kind, site, "G-1", latitude, longitude, ())


COUNTY = County(
    code="331121",
    name="县",
    name_en="County",
    note="",
    divisions={},
    places={},
    gateways={},
    sites={
        name: Site(name, f"{name}瞭望区", SiteKind.LOOKOUT, "331121100", 28.2, 120.3)
        for name in ("F-1", "F-2", "F-3")
    },
    stations={name: station(name, *place) for name, place in PLACES.items()},
)

START = datetime(2026, 4, 1, tzinfo=UTC)
# Where two fires may burn, and where the cameras' bearings to them lead.
HERE, THERE = (28.184063, 120.30), (28.22, 120.32)


def bearing(camera: str, to: tuple[float, float]) -> float:
    _, latitude, longitude = PLACES[camera]
    a, b, d = math.radians(latitude), math.radians(to[0]), math.radians(to[1] - longitude)
    return (
        math.degrees(
            math.atan2(
                math.sin(d) * math.cos(b), math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(d)
            )
        )
        % 360.0
    )


def seen(
    minute: float, camera: str = "C-1", azimuth: float | None = None, confidence: float = 0.5
) -> Sighting:
    towards = bearing(camera, HERE) if azimuth is None else azimuth
    time = START + timedelta(minutes=minute)
    return Sighting(Detection(camera, Sign.SMOKE, time, confidence, towards, 3.0, "?", "G-1"))


def burst(minute: float, camera: str = "C-1", azimuth: float | None = None) -> list[Signal]:
    return [seen(minute + n / 10, camera, azimuth) for n in range(3)]


def noon(
    day: int = 0, station: str = "W-1", c: float = 17.0, rh: float = 42.0, km_h: float = 25.0
) -> Weather:
    return Weather(station, "F-1", START + timedelta(days=day), c, rh, km_h / 3.6, 0.0)


HOT, DAMP = {"c": 40.0, "rh": 10.0, "km_h": 60.0}, {"c": 5.0, "rh": 98.0, "km_h": 0.0}
