"""A county as Tongluo knows it: divisions, gateways, sites, stations, responders (tongluo/registry reads them)."""

import enum
from typing import Annotated

import msgspec

from tongluo.finding import Level
from tongluo.quality import Limits

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# What a protocol calls a device: printable, without spaces.
Address = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,255}$")]
# A county (6 digits), township (9) or village (12) under GB/T 2260 and GB/T 10114.
Code = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}([0-9]{3}){0,2}$")]
Latitude = Annotated[float, msgspec.Meta(ge=-90.0, le=90.0)]
Longitude = Annotated[float, msgspec.Meta(ge=-180.0, le=180.0)]


class DivisionKind(enum.StrEnum):
    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"


class SiteKind(enum.StrEnum):
    CATCHMENT = "catchment"
    SLOPE = "slope"
    TAILINGS_POND = "tailings_pond"
    LOOKOUT = "lookout"


class StationKind(enum.StrEnum):
    RAIN_GAUGE = "rain_gauge"
    DISPLACEMENT_POINT = "displacement_point"
    POND_SECTION = "pond_section"
    FIRE_CAMERA = "fire_camera"


class Division(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A county (6 digits), township (9) or village (12) under GB/T 2260 and GB/T 10114."""

    code: Code
    name: str
    kind: DivisionKind
    parent: str = ""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a township lies on the map (WGS 84) and the ring of (latitude, longitude) drawn around it."""

    code: Code
    latitude: Latitude
    longitude: Longitude
    outline: tuple[tuple[Latitude, Longitude], ...] = ()


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The field device that holds one MQTT session and speaks for its stations.

    `address` is what it is called where its protocol has names of its own: an SL 651 station address, or
    `group/edge` of a Sparkplug edge node.
    """

    id: Id
    name: str
    address: Address | None = None


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is protected or feared: a slope, a pond, a village catchment, a lookout area."""

    id: Id
    name: str
    kind: SiteKind
    division: Code
    latitude: Latitude
    longitude: Longitude


class Purpose(enum.StrEnum):
    """What a station's readings are for."""

    WATCH = "watch"
    DRILL = "drill"
    """An exercise: all that they lead to is marked a drill, and they count for nothing else."""


class Station(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One place with sensors. `interval_s` is how often it should speak, in seconds.

    `division` is the village or township it stands in, where that is not its site's. `address` is what its protocol
    calls it, where that is not its id (SL 651 station address, geohazard device id). `limits` are by metric and override
    the metric's own. `thresholds` are by indicator, such as `rain_3h`, and level. `base_level_m` is what an SL 651
    station's relative water levels count from, `rain_elements` the SL 651 elements its rain is counted from.
    """

    id: Id
    name: str
    kind: StationKind
    site: str
    gateway: str
    latitude: Latitude
    longitude: Longitude
    metrics: tuple[str, ...]
    interval_s: Annotated[int, msgspec.Meta(gt=0)] = 300
    division: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{6}([0-9]{3}){0,2})?$")] = ""
    address: Address | None = None
    limits: dict[str, Limits] = {}
    thresholds: dict[str, dict[Level, float]] = {}
    base_level_m: float | None = None
    rain_elements: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9A-F]{2}$")], ...] = ()
    purpose: Purpose = Purpose.WATCH


class Responder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person who must act, and the areas (division codes) that are theirs. `duty` is the role they have there."""

    id: Id
    name: str
    areas: tuple[Code, ...]
    duty: str = ""
    phone: Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]{5,20}$")] | None = None


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The county itself. `note` is said to every reader, such as 'coordinates illustrative'."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$")]
    name: str
    name_en: str
    note: str = ""


class County(msgspec.Struct, frozen=True):
    """Everything registered in one county. `note` is said to every reader, such as 'coordinates illustrative'."""

    code: str
    name: str
    name_en: str
    note: str
    divisions: dict[str, Division]
    places: dict[str, Place]
    gateways: dict[str, Gateway]
    sites: dict[str, Site]
    stations: dict[str, Station]
    responders: dict[str, Responder] = {}

    def township_of(self, site: Site) -> Division | None:
        """The township a site lies in, from the first nine digits of its division code."""
        return self.divisions.get(site.division[:9])


def covers(area: str, division: str) -> bool:
    """Whether `division` lies in `area`; zeros that fill a code up to 12 digits do not count (GB/T 2260 bounds)."""
    return division.startswith(significant(area))


def significant(code: str) -> str:
    """A code without its filling: 331124100000 is township 331124100; digits are dropped by level, not singly."""
    for end in (6, 9):
        if len(code) > end and not code[end:].strip("0"):
            return code[:end]
    return code
