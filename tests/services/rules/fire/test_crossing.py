"""Bearings that meet: published vectors, hand-made cases, and an ellipse against thousands of perturbed bearings."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.rules.catalogue.model import FireRule
from services.rules.fire.crossing import RADIUS_M, Bearing, Point, Rejected, crossed, distance_m, ellipse, fix
from tests.services.rules.fire.rules import RULE


def rule(**changes: float) -> FireRule:
    return msgspec.structs.replace(RULE, **changes)


WIDE = msgspec.structs.replace(RULE, reach_km=100.0)


def far(start: tuple[float, float], azimuth: float, metres: float) -> tuple[float, float]:
    """Where one gets from a place: the spherical triangle, written down once more and otherwise."""
    phi, lam, az, arc = *map(math.radians, start), math.radians(azimuth), metres / RADIUS_M
    phi2 = math.asin(math.sin(phi) * math.cos(arc) + math.cos(phi) * math.sin(arc) * math.cos(az))
    lam2 = lam + math.atan2(
        math.sin(az) * math.sin(arc) * math.cos(phi), math.cos(arc) - math.sin(phi) * math.sin(phi2)
    )
    return math.degrees(phi2), math.degrees(lam2)


def azimuth(start: tuple[float, float], end: tuple[float, float]) -> float:
    a, b = math.radians(start[0]), math.radians(end[0])
    d = math.radians(end[1] - start[1])
    return (
        math.degrees(
            math.atan2(
                math.sin(d) * math.cos(b), math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(d)
            )
        )
        % 360.0
    )


@pytest.mark.parametrize(
    ("one", "other", "place", "km"),
    [
        (Bearing("A", 28.14, 120.25, 45), Bearing("B", 28.14, 120.35, 315), (28.184063, 120.3), 6.930),
        (Bearing("A", 28.139, 120.286, 20), Bearing("B", 28.2, 120.4, 270), (28.199971, 120.311182), 7.215),
    ],
)
def test_published_crossings(one: Bearing, other: Bearing, place: tuple[float, float], km: float) -> None:
    for first, second in ((one, other), (other, one)):
        found = crossed(first, second, WIDE)
        assert isinstance(found, Point)
        assert (found.latitude, found.longitude) == pytest.approx(place, abs=1e-6)
    assert distance_m(one, found) / 1000 == pytest.approx(km, abs=1e-3)


A, B = (28.14, 120.25), (28.14, 120.35)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (Bearing("A", *A, 45), Bearing("B", 28.1405, 120.25, 315), Rejected.BASE),  # 56 m
        (Bearing("A", *A, 45), Bearing("B", *A, 315), Rejected.BASE),
        (Bearing("A", *A, 225), Bearing("B", *B, 135), Rejected.DIVERGING),  # behind both
        (Bearing("A", *A, 60), Bearing("B", *B, 100), Rejected.DIVERGING),  # behind one
        (Bearing("A", *A, 80), Bearing("B", *B, 75), Rejected.ANGLE),
        (Bearing("A", *A, 90), Bearing("B", *B, 270), Rejected.ANGLE),  # at each other
        (Bearing("A", *A, 85), Bearing("B", *B, 274), Rejected.ANGLE),  # between them, flat
        (Bearing("A", *A, 0), Bearing("B", *B, 0), Rejected.ANGLE),  # parallel
        (Bearing("A", *A, 6), Bearing("B", *B, 354), Rejected.REACH),  # 47 km away
        (
            Bearing("A", *A, 0),
            Bearing("B", 28.46, 120.35, 270),
            Rejected.REACH,
        ),  # 36 km from one, 10 km from the other
    ],
)
def test_what_gives_no_position_says_why(one: Bearing, other: Bearing, why: Rejected) -> None:
    assert crossed(one, other, RULE) is why
    assert crossed(other, one, RULE) is why
    assert fix([one, other], RULE) is None


def test_the_limits_are_the_rule_s() -> None:
    flat = (Bearing("A", *A, 80), Bearing("B", *B, 74))
    assert isinstance(crossed(*flat, msgspec.structs.replace(WIDE, least_angle_deg=5.0)), Point)
    assert crossed(*flat, msgspec.structs.replace(WIDE, least_angle_deg=7.0)) is Rejected.ANGLE
    close = (Bearing("A", *A, 45), Bearing("B", 28.1405, 120.25, 135))
    assert isinstance(crossed(*close, msgspec.structs.replace(RULE, least_base_m=50.0)), Point)
    # No rule makes a position of two lines that are one.
    assert (
        crossed(Bearing("A", *A, 89.7), Bearing("B", *B, 270.3), rule(least_angle_deg=0.0)) is Rejected.ANGLE
    )


places = st.tuples(st.floats(27.5, 28.5), st.floats(119.5, 120.5))


@given(places, places, places)
def test_bearings_to_a_place_meet_there(
    one: tuple[float, float], other: tuple[float, float], at: tuple[float, float]
) -> None:
    bearings = [Bearing(name, *where, azimuth(where, at)) for name, where in (("A", one), ("B", other))]
    found = crossed(*bearings, msgspec.structs.replace(RULE, reach_km=500.0))
    assume(isinstance(found, Point))
    assert isinstance(found, Point)
    assert distance_m(found, Point(*at)) < 0.5


def test_two_bearings_of_a_fix_are_their_crossing() -> None:
    pair = [Bearing("A", *A, 45), Bearing("B", *B, 315)]
    found = fix(pair, RULE)
    assert found is not None
    assert (found.latitude, found.longitude) == pytest.approx((28.184063, 120.3), abs=1.5e-6)
    assert found.cameras == ("A", "B")


def test_the_ellipse_of_a_right_angle_by_hand() -> None:
    """Square to each other and equally far: a circle of d * sigma."""
    major, minor, _ = ellipse(Point(28.184063, 120.3), [Bearing("A", *A, 45), Bearing("B", *B, 315)], RULE)
    assert major == pytest.approx(6930 * math.radians(1.0), rel=0.01)
    assert minor == pytest.approx(major, rel=0.01)


def test_a_flat_crossing_is_long_along_the_line_of_sight() -> None:
    """Two cameras side by side, 20 degrees apart: d sigma / (sqrt 2 sin 10°) along the way, / (sqrt 2 cos 10°) across."""
    at = (28.3, 120.3)
    bearings = []
    for name, back in (("A", 170.0), ("B", 190.0)):
        where = far(at, back, 15_000.0)
        bearings.append(Bearing(name, *where, azimuth(where, at)))
    major, minor, direction = ellipse(Point(*at), bearings, RULE)
    error = 15_000.0 * math.radians(1.0) / math.sqrt(2)
    assert major == pytest.approx(error / math.sin(math.radians(10)), rel=1e-3)
    assert minor == pytest.approx(error / math.cos(math.radians(10)), rel=1e-3)
    assert min(direction, 180 - direction) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize(
    "backs",
    [
        ((200.0, 9_000.0), (120.0, 14_000.0)),
        ((250.0, 20_000.0), (285.0, 6_000.0)),
        ((10.0, 12_000.0), (75.0, 7_000.0), (200.0, 15_000.0)),
        ((40.0, 5_000.0), (60.0, 18_000.0), (80.0, 18_000.0), (100.0, 25_000.0)),
    ],
)
def test_the_ellipse_is_the_spread_of_perturbed_bearings(backs: tuple[tuple[float, float], ...]) -> None:
    at = (28.2, 120.3)
    wheres = [far(at, back, metres) for back, metres in backs]
    exact = [azimuth(where, at) for where in wheres]
    fine = msgspec.structs.replace(RULE, bearing_sigma_deg=0.2, merge_km=50.0)
    source = np.random.default_rng(1)
    spread = []
    for _ in range(3000):
        bearings = [
            Bearing(f"C{nth}", *where, (true + source.normal(0, 0.2)) % 360)
            for nth, (where, true) in enumerate(zip(wheres, exact, strict=True))
        ]
        found = fix(bearings, fine)
        assert found is not None
        assert len(found.cameras) == len(backs)
        north = (found.latitude - at[0]) * math.radians(1) * RADIUS_M
        east = (found.longitude - at[1]) * math.radians(1) * RADIUS_M * math.cos(math.radians(at[0]))
        spread.append((east, north))
    values, vectors = np.linalg.eigh(np.cov(np.array(spread).T))
    east, north = vectors[:, 1]
    direction = math.degrees(math.atan2(east, north)) % 180
    bearings = [Bearing(f"C{n}", *w, a) for n, (w, a) in enumerate(zip(wheres, exact, strict=True))]
    major, minor, said = ellipse(Point(*at), bearings, fine)
    assert major == pytest.approx(math.sqrt(values[1]), rel=0.05)
    assert minor == pytest.approx(math.sqrt(values[0]), rel=0.05)
    assert abs((said - direction + 90) % 180 - 90) < 4.0
    assert np.abs(np.mean(spread, axis=0)).max() < 0.1 * major


def test_three_bearings_settle_where_the_weighted_squares_are_least() -> None:
    """Against a search on a grid of half a metre around the answer."""
    bearings = [Bearing("A", *A, 45.6), Bearing("B", *B, 314.8), Bearing("C", 28.25, 120.30, 178.9)]
    found = fix(bearings, RULE)
    assert found is not None
    assert found.cameras == ("A", "B", "C")

    def cost(latitude: float, longitude: float) -> float:
        offs = [azimuth((b.latitude, b.longitude), (latitude, longitude)) - b.azimuth_deg for b in bearings]
        return sum(((off + 180) % 360 - 180) ** 2 for off in offs)

    lat0, lon0 = found.latitude, found.longitude
    grid = [(cost(lat0 + i * 5e-6, lon0 + j * 5e-6), i, j) for i in range(-30, 31) for j in range(-30, 31)]
    _, i, j = min(grid)
    assert abs(i) <= 6  # 3 m; the ellipse is a hundred
    assert abs(j) <= 6


def test_more_cameras_are_surer() -> None:
    pair = [Bearing("A", *A, 45), Bearing("B", *B, 315)]
    two, three = fix(pair, RULE), fix([*pair, Bearing("C", 28.25, 120.30, 180)], RULE)
    assert two is not None
    assert three is not None
    assert three.major_m < two.major_m


def test_a_bearing_to_something_else_is_left_out() -> None:
    pair = [Bearing("A", *A, 45), Bearing("B", *B, 315)]
    found = fix([*pair, Bearing("C", 28.25, 120.30, 90), Bearing("D", 28.25, 120.30, 0)], RULE)
    assert found == fix(pair, RULE)


@given(
    st.permutations(
        [("A", *A, 45.0), ("B", *B, 315.0), ("C", 28.25, 120.30, 181.0), ("D", 28.2, 120.2, 100.0)]
    )
)
def test_the_order_of_cameras_is_all_one(order: list[tuple[str, float, float, float]]) -> None:
    bearings = [Bearing(*one) for one in order]
    assert fix(bearings, RULE) == fix(sorted(bearings, key=lambda b: b.camera), RULE)


def test_a_camera_gives_one_bearing_the_nearest() -> None:
    pair = [Bearing("A", *A, 45), Bearing("B", *B, 315)]
    left, straight, right = (Bearing("C", 28.25, 120.30, azimuth) for azimuth in (172, 180, 187))
    assert fix([*pair, left, straight, right], RULE) == fix([*pair, straight], RULE)
    found = fix([*pair, Bearing("A", *A, 60)], RULE)
    assert found is not None
    places = [crossed(Bearing("A", *A, azimuth), pair[1], RULE) for azimuth in (45, 60)]
    assert min(distance_m(found, place) for place in places if isinstance(place, Point)) < 0.2
