"""Bearings across north, boxes in pictures, masks."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.fire.bearings import between, masked, of_box, within, wrapped
from tongluo.detection import Detection, Sign

azimuths = st.floats(0, 360, exclude_max=True)


def seen_at(azimuth: float) -> Detection:
    return Detection("C-1", Sign.SMOKE, datetime(2026, 4, 1, tzinfo=UTC), 0.5, azimuth, 3.0, "F-1", "G-1")


@pytest.mark.parametrize(
    ("pose", "view", "left", "right", "azimuth", "cone"),
    [
        (90.0, 60.0, 0.45, 0.55, 90.0, 6.0),
        (90.0, 60.0, 0.0, 0.1, 63.0, 6.0),
        (350.0, 60.0, 0.9, 1.0, 17.0, 6.0),
        (10.0, 54.0, 0.0, 1.0, 10.0, 54.0),
        (5.0, 54.0, 0.1, 0.2, 346.1, 5.4),
        (0.0, 360.0, 0.25, 0.75, 0.0, 180.0),
    ],
)
def test_the_bearing_of_a_box(
    pose: float, view: float, left: float, right: float, azimuth: float, cone: float
) -> None:
    assert of_box(pose, view, left, right) == pytest.approx((azimuth, cone))


@pytest.mark.parametrize(
    ("view", "left", "right"),
    [(54, 0.5, 0.5), (54, 0.6, 0.4), (54, -0.1, 0.4), (54, 0.4, 1.1), (0, 0.1, 0.2), (361, 0.1, 0.2),
     (54, math.nan, 0.2), (math.nan, 0.1, 0.2)],
)  # fmt: skip
def test_what_is_no_box_is_refused(view: float, left: float, right: float) -> None:
    with pytest.raises(ValueError, match="is none"):
        of_box(90.0, view, left, right)


@given(azimuths, azimuths)
def test_the_angle_between_is_the_arc_cosine_of_the_directions(one: float, other: float) -> None:
    a, b = math.radians(one), math.radians(other)
    cosine = math.cos(a) * math.cos(b) + math.sin(a) * math.sin(b)
    assert math.cos(math.radians(between(one, other))) == pytest.approx(cosine, abs=1e-9)
    assert between(one, other) == between(other, one)


@given(st.floats(-1e6, 1e6))
def test_a_wrapped_angle_is_an_azimuth(degrees: float) -> None:
    assert 0.0 <= wrapped(degrees) < 360.0


def test_a_mask_goes_clockwise_and_across_north() -> None:
    assert within(355.0, 350.0, 10.0)
    assert within(5.0, 350.0, 10.0)
    assert within(350.0, 350.0, 10.0)
    assert within(10.0, 350.0, 10.0)
    assert not within(180.0, 350.0, 10.0)
    assert within(180.0, 10.0, 350.0)
    assert not within(0.0, 10.0, 350.0)
    assert within(180.0, 0.0, 360.0)
    assert within(20.0, 20.0, 20.0)
    assert not within(21.0, 20.0, 20.0)


@given(st.integers(0, 359), st.integers(0, 359), st.integers(0, 359))
def test_a_sector_is_what_one_walks_through(azimuth: int, begin: int, end: int) -> None:
    walked, at = {begin}, begin
    while at != end:
        at = (at + 1) % 360
        walked.add(at)
    assert within(float(azimuth), float(begin), float(end)) is (azimuth in walked)


def test_a_detection_in_any_of_the_masks_is_masked() -> None:
    masks = ((350.0, 10.0), (90.0, 100.0))
    assert masked(seen_at(0.0), masks)
    assert masked(seen_at(95.0), masks)
    assert not masked(seen_at(45.0), masks)
    assert not masked(seen_at(45.0), ())
