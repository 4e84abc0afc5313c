"""A county at one moment: its cameras' tracks that are alive, and what they say of a fire. Nothing here remembers."""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from services.rules.catalogue.model import FireRule
from services.rules.fire.bearings import between
from services.rules.fire.crossing import Bearing, Point, Rejected, crossed, distance_m, fix
from services.rules.fire.state import Fire, FireState, Member
from services.rules.fire.tracks import Track, Tracker
from services.rules.fire.weather import FRESH_US
from tongluo.duration import microseconds
from tongluo.finding import Fix, Level
from tongluo.region import County, Station

# Of so many bearings, the newest, a position is made: each pair of them is looked at.
MOST_BEARINGS: Final = 12
_LEVELS: Final = tuple(Level)


class Danger(msgspec.Struct, frozen=True):
    """The fire weather index a station found, and by how much it moves a level: -1, 0 or 1."""

    station: str
    fwi: float
    shift: int


def placed(county: County, name: str) -> Station | None:
    """A station with coordinates: 0 N 0 E is where those are that were never surveyed."""
    station = county.stations.get(name)
    if station is None or not (math.isfinite(station.latitude) and math.isfinite(station.longitude)):
        return None
    return None if station.latitude == station.longitude == 0.0 else station


class Scene:
    """What can be asked of one moment."""

    def __init__(self, tracker: Tracker, county: County, state: FireState) -> None:
        self.rule: FireRule = tracker.rule
        self.county = county
        self.alive: dict[Member, Track] = {
            Member(name, track.id): track
            for name, camera in state.cameras.items()
            if placed(county, name) is not None
            for track in tracker.alive(camera, state.passed)
        }
        self._slack = microseconds(self.rule.pair_slack)
        self._weather = [
            (station, state.weather[name].fwi)
            for name in sorted(state.weather)
            if (station := placed(county, name)) is not None
            and state.weather[name].time + FRESH_US > state.passed
        ]

    def tracks(self, fire: Fire) -> list[tuple[Member, Track]]:
        """The tracks of a fire that are alive, in the order in which they joined."""
        return [(member, self.alive[member]) for member in fire.members if member in self.alive]

    def one_fire(self, one: Fire, other: Fire) -> bool:
        """Whether two fires are the same: their positions lie within `merge_km`, or two of their bearings meet there.

        What one camera sees in two directions at once is one fire only by its positions.
        """
        if one.fix is not None and other.fix is not None:
            return self._near(one.fix, other.fix)
        its = {member.camera for member, _ in self.tracks(one)}
        if any(member.camera in its for member, _ in self.tracks(other)):
            return False
        return any(
            self._meet(first, second, one.fix or other.fix)
            for first in self.tracks(one)
            for second in self.tracks(other)
        )

    def apart_in_time(self, one: Fire, other: Fire) -> int:
        """How far apart (microseconds) two fires were seen first."""
        return abs(self._began(one) - self._began(other))

    def position(self, fire: Fire) -> Fix | None:
        """Where a fire's newest bearings cross, those within `pair_slack` of its newest sighting; None if they do not."""
        tracks = sorted(self.tracks(fire), key=lambda pair: (-pair[1].last, pair[0].camera, pair[1].first))
        recent = [pair for pair in tracks if pair[1].last >= tracks[0][1].last - self._slack]
        return fix([self._bearing(*pair) for pair in recent[:MOST_BEARINGS]], self.rule)

    def danger(self, fire: Fire) -> Danger | None:
        """Fire weather by the nearest station that had a noon lately; None where there is none."""
        here = fire.fix or next((placed(self.county, one.camera) for one in fire.members), None)
        if here is None or not self._weather:
            return None
        place = Point(here.latitude, here.longitude)
        _, _, name, fwi = min(
            (distance_m(place, Point(one.latitude, one.longitude)), nth, one.id, fwi)
            for nth, (one, fwi) in enumerate(self._weather)
        )
        shift = 1 if fwi >= self.rule.weather_up else -1 if fwi < self.rule.weather_down else 0
        return Danger(name, fwi, shift)

    def level(self, fire: Fire) -> Level:
        """A fire's level: by whether it has a position, moved by fire weather, never below blue nor above red."""
        level = self.rule.single if fire.fix is None else self.rule.crossed
        danger = self.danger(fire)
        shift = danger.shift if danger is not None else 0
        return _LEVELS[max(0, min(len(_LEVELS) - 1, _LEVELS.index(level) + shift))]

    def _began(self, fire: Fire) -> int:
        return min((track.first for _, track in self.tracks(fire)), default=fire.ends)

    def _bearing(self, member: Member, track: Track) -> Bearing:
        camera = self.county.stations[member.camera]
        return Bearing(member.camera, camera.latitude, camera.longitude, track.azimuth_deg)

    def _meet(self, one: tuple[Member, Track], other: tuple[Member, Track], at: Fix | None) -> bool:
        """Whether two bearings say the same: they meet (at `at`, if given), or are parallel from one and the same mast."""
        if abs(one[1].last - other[1].last) > self._slack:
            return False
        found = crossed(self._bearing(*one), self._bearing(*other), self.rule)
        if found is Rejected.BASE:
            return between(one[1].azimuth_deg, other[1].azimuth_deg) <= self.rule.overlap_deg
        return isinstance(found, Point) and (at is None or self._near(found, at))

    def _near(self, one: Point | Fix, other: Point | Fix) -> bool:
        return distance_m(one, other) <= self.rule.merge_km * 1000.0


def newcomers(scene: Scene, fires: Iterable[Fire]) -> list[Member]:
    """The tracks that are of no fire yet, in the order in which they were confirmed."""
    known = {member for fire in fires for member in fire.members}
    new = [(track.confirmed or 0, member) for member, track in scene.alive.items() if member not in known]
    return [member for _, member in sorted(new, key=lambda pair: (pair[0], pair[1].camera, pair[1].track))]
