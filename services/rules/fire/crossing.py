"""Where bearings meet, on a sphere of 6371 km, and how surely.

A great circle is named by its pole, the unit vector square to its plane; a point is a unit vector, x to 0°N 0°E,
z to the north pole. Formulae: n-vectors (Gade 2010, The Journal of Navigation 63(3), 395-417); lines of position by
least squares and their error ellipse (Torrieri 1984, IEEE Trans. AES-20(2), 183-198).
"""

import enum
import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from services.rules.catalogue.model import FireRule
from tongluo.finding import Fix

RADIUS_M: Final = 6_371_000.0
# A camera at the fire's very place would be infinitely sure of it.
LEAST_DISTANCE_M: Final = 10.0
# Flatter than this, whatever the rule says, a crossing is a matter of rounding.
FLATTEST_DEG: Final = 1.0
ROUNDS: Final = 20
STILL_M: Final = 0.001

Vector = tuple[float, float, float]


class Bearing(msgspec.Struct, frozen=True):
    """One camera's place (WGS 84, degrees) and the direction it sees something in (degrees from north)."""

    camera: str
    latitude: float
    longitude: float
    azimuth_deg: float


class Rejected(enum.StrEnum):
    """Why two bearings give no position."""

    BASE = "base"
    """The cameras stand closer together than `least_base_m`."""
    DIVERGING = "diverging"
    """The bearings meet behind a camera."""
    ANGLE = "angle"
    """They meet at less than `least_angle_deg`."""
    REACH = "reach"
    """They meet beyond `reach_km` of a camera."""


class Point(msgspec.Struct, frozen=True):
    """A place on the sphere (degrees)."""

    latitude: float
    longitude: float


def crossed(one: Bearing, other: Bearing, rule: FireRule) -> Point | Rejected:
    """The point where two bearings meet, or why they give none."""
    at, bt = _place(one), _place(other)
    if _distance_m(at, bt) < rule.least_base_m:
        return Rejected.BASE
    line = _cross(_pole(one), _pole(other))
    length = _length(line)
    if length < 1e-12:
        return Rejected.ANGLE  # along one and the same great circle
    meeting = _scaled(line, 1.0 / length)
    if _dot(meeting, at) < 0.0:
        meeting = _scaled(
            meeting, -1.0
        )  # the other of the two points where the circles meet is at the antipodes
    if _dot(meeting, _heading(one)) <= 0.0 or _dot(meeting, _heading(other)) <= 0.0:
        return Rejected.DIVERGING
    # The planes of two great circles stand at the angle at which the circles meet; `length` is its sine.
    if length < math.sin(math.radians(min(max(rule.least_angle_deg, FLATTEST_DEG), 90.0))):
        return Rejected.ANGLE
    if max(_distance_m(meeting, at), _distance_m(meeting, bt)) > rule.reach_km * 1000.0:
        return Rejected.REACH
    return _point(meeting)


def fix(bearings: Sequence[Bearing], rule: FireRule) -> Fix | None:
    """The position that fits the bearings best, by weighted least squares; None where no two of them cross.

    It starts at the crossing with the smallest error ellipse and takes of every other camera the bearing that passes
    nearest to there, if within `merge_km`, ahead and within reach. Each misses by `bearing_sigma_deg` (1 sigma).
    """
    ordered = sorted(bearings, key=lambda one: (one.camera, one.azimuth_deg))
    pairs = [
        (ellipse(point, (one, other), rule)[0], nth, point, (one, other))
        for nth, one in enumerate(ordered)
        for other in ordered[nth + 1 :]
        if one.camera != other.camera and isinstance(point := crossed(one, other, rule), Point)
    ]
    if not pairs:
        return None
    _, _, start, pair = min(pairs, key=lambda found: found[:2])
    used = [*pair, *_others(ordered, pair, start, rule)]
    place = _best(start, used, rule)
    major, minor, bearing = ellipse(place, used, rule)
    cameras = tuple(sorted({one.camera for one in used}))
    return Fix(
        latitude=round(place.latitude, 6),
        longitude=round(place.longitude, 6),
        major_m=round(major, 1),
        minor_m=round(minor, 1),
        bearing_deg=round(bearing, 1) % 180.0,
        cameras=cameras,
    )


def ellipse(at: Point, bearings: Sequence[Bearing], rule: FireRule) -> tuple[float, float, float]:
    """Half axes (m, 1 sigma: 39 % lie within) and bearing of the major one, in [0, 180), of a position's error.

    The sum of n nᵀ / (d sigma)² over the bearings is the inverse of the covariance: n is the unit vector square to the
    line of sight at the position, d the distance. Raises ValueError when all lines of sight are one.
    """
    east2 = north2 = mixed = 0.0
    for one in bearings:
        east, north, spread = _square_to(one, at, rule)
        east2 += (east / spread) ** 2
        north2 += (north / spread) ** 2
        mixed += east * north / spread**2
    middle = (east2 + north2) / 2
    apart = math.hypot((east2 - north2) / 2, mixed)
    if middle - apart <= 0.0:
        raise ValueError("bearings along one line give no error ellipse")
    # The information is smallest, the error largest, along the eigenvector of the smaller eigenvalue.
    steepest = 0.5 * math.atan2(2 * mixed, east2 - north2)
    bearing = -math.degrees(steepest) % 180.0  # east of the steepest is square to it: 90 - (angle + 90)
    return 1 / math.sqrt(middle - apart), 1 / math.sqrt(middle + apart), bearing


def distance_m(one: Point | Fix | Bearing, other: Point | Fix | Bearing) -> float:
    """Great-circle distance in metres."""
    return _distance_m(_vector(one.latitude, one.longitude), _vector(other.latitude, other.longitude))


def _best(start: Point, bearings: Sequence[Bearing], rule: FireRule) -> Point:
    """Gauss-Newton from `start`: the weighted squares of what the great circles pass by are least."""
    place = start
    for _ in range(ROUNDS):
        east2 = north2 = mixed = east_by = north_by = 0.0
        here = _vector(place.latitude, place.longitude)
        for one in bearings:
            east, north, spread = _square_to(one, place, rule)
            miss = math.asin(max(-1.0, min(1.0, _dot(here, _pole(one))))) * RADIUS_M
            east2 += (east / spread) ** 2
            north2 += (north / spread) ** 2
            mixed += east * north / spread**2
            east_by -= east * miss / spread**2
            north_by -= north * miss / spread**2
        scale = east2 * north2 - mixed**2
        dx = (north2 * east_by - mixed * north_by) / scale
        dy = (east2 * north_by - mixed * east_by) / scale
        place = _moved(place, dx, dy)
        if math.hypot(dx, dy) < STILL_M:
            break
    return place


def _others(
    ordered: Sequence[Bearing], pair: Sequence[Bearing], start: Point, rule: FireRule
) -> Iterator[Bearing]:
    """Of each camera that is not of the pair, the bearing that passes nearest to its crossing."""
    here = _vector(start.latitude, start.longitude)
    paired = {one.camera for one in pair}
    nearest: dict[str, tuple[float, Bearing]] = {}
    for one in ordered:
        by = abs(math.asin(max(-1.0, min(1.0, _dot(here, _pole(one)))))) * RADIUS_M
        if one.camera in paired or by >= nearest.get(one.camera, (math.inf, one))[0]:
            continue
        near = distance_m(one, start) <= rule.reach_km * 1000.0
        if near and by <= rule.merge_km * 1000.0 and _dot(here, _heading(one)) > 0.0:
            nearest[one.camera] = by, one
    for _, one in nearest.values():
        yield one


def _square_to(one: Bearing, at: Point, rule: FireRule) -> tuple[float, float, float]:
    """East and north part, at `at`, of the pole of a bearing (to its left), and its standard error there (m)."""
    pole = _pole(one)
    east, north = _dot(pole, _east(at)), _dot(pole, _north(at))
    length = math.hypot(east, north)
    arc = distance_m(one, at) / RADIUS_M
    spread = max(math.sin(arc) * RADIUS_M, LEAST_DISTANCE_M) * math.radians(rule.bearing_sigma_deg)
    return east / length, north / length, spread


def _moved(place: Point, east_m: float, north_m: float) -> Point:
    step = _added(
        _scaled(_east(place), east_m / RADIUS_M),
        _scaled(_north(place), north_m / RADIUS_M),
    )
    there = _added(_vector(place.latitude, place.longitude), step)
    return _point(_scaled(there, 1.0 / _length(there)))


def _vector(latitude: float, longitude: float) -> Vector:
    phi, lam = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


def _point(v: Vector) -> Point:
    return Point(
        math.degrees(math.atan2(v[2], math.hypot(v[0], v[1]))),
        math.degrees(math.atan2(v[1], v[0])),
    )


def _place(one: Bearing) -> Vector:
    return _vector(one.latitude, one.longitude)


def _east(at: Point | Bearing) -> Vector:
    lam = math.radians(at.longitude)
    return -math.sin(lam), math.cos(lam), 0.0


def _north(at: Point | Bearing) -> Vector:
    phi, lam = math.radians(at.latitude), math.radians(at.longitude)
    return -math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi)


def _heading(one: Bearing) -> Vector:
    """The direction of a bearing, as a unit vector touching the sphere at its camera."""
    azimuth = math.radians(one.azimuth_deg)
    return _added(_scaled(_east(one), math.sin(azimuth)), _scaled(_north(one), math.cos(azimuth)))


def _pole(one: Bearing) -> Vector:
    return _cross(_place(one), _heading(one))


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _scaled(a: Vector, by: float) -> Vector:
    return a[0] * by, a[1] * by, a[2] * by


def _added(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _length(a: Vector) -> float:
    return math.sqrt(_dot(a, a))


def _distance_m(a: Vector, b: Vector) -> float:
    return RADIUS_M * math.atan2(_length(_cross(a, b)), _dot(a, b))
