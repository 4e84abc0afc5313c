"""A fire rule and a county for the tests."""

from services.rules.catalogue.model import FireRule
from tongluo.hazards import Words
from tongluo.region import County, Site, SiteKind, Station, StationKind

RULE = FireRule("forest_fire", "1", "forest_fire", Words("森林火灾", "Forest fire"), "test")

# Cameras of two sites around 28.1 N 120.3 E, some ten kilometres apart, and two on one mast.
PLACES = {
    "C-1": ("F-1", 28.14, 120.25),
    "C-2": ("F-1", 28.14, 120.35),
    "C-3": ("F-2", 28.25, 120.30),
    "C-4": ("F-2", 28.2501, 120.30),
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
        for name in ("F-1", "F-2")
    },
    stations={name: station(name, *place) for name, place in PLACES.items()},
)
