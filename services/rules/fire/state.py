"""What the judgement of fires remembers: msgpack holds it, and it is bounded by the county's cameras, stations and sites."""

import msgspec

from services.rules.fire.tracks import CameraTracks
from services.rules.fire.weather import StationWeather
from tongluo.finding import Fix, Level


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A camera's confirmed track, by its id."""

    camera: str
    track: int


class Fire(msgspec.Struct):
    """A fire that burns: told at `site`, that of the camera whose track was confirmed first; ended at `ends` (microseconds).

    `fix` stays when its cameras no longer cross: what has been crossed is not taken back before the fire ends.
    """

    id: int
    site: str
    members: list[Member]
    ends: int = 0
    fix: Fix | None = None


class SiteTold(msgspec.Struct):
    """The level last told of a site, and when (microseconds)."""

    level: Level | None = None
    told: int = 0


class FireState(msgspec.Struct):
    """Everything remembered. `passed` is how far time has passed (microseconds), `count` the fires there have been."""

    cameras: dict[str, CameraTracks] = {}
    fires: list[Fire] = []
    sites: dict[str, SiteTold] = {}
    weather: dict[str, StationWeather] = {}
    passed: int = 0
    count: int = 0
