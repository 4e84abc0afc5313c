"""A pond's numbers by hand, and the laws of adding levels up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.formulas import tailings
from services.rules.formulas.tailings import aggregate, control_depth_m, depth_level, pond_class
from tongluo.finding import Level, rank

BLUE, YELLOW, ORANGE, RED = Level
levels = st.lists(st.sampled_from([None, *Level]), max_size=40)


@pytest.mark.parametrize(
    ("height", "depth"), [(0, 2), (30, 2), (45, 3), (60, 4), (80, 5), (125, 7), (150, 8), (400, 8)]
)
def test_the_control_depth_is_interpolated_and_held(height: float, depth: float) -> None:
    assert control_depth_m(height) == depth


@given(st.floats(0, 300), st.floats(0, 300))
def test_a_higher_dam_needs_no_less_depth(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert control_depth_m(low) <= control_depth_m(high)


@pytest.mark.parametrize("curve", [(), ((30.0, 2.0), (30.0, 4.0)), ((60.0, 4.0), (30.0, 2.0))])
def test_a_curve_that_does_not_ascend_is_refused(curve: tailings.Curve) -> None:
    with pytest.raises(ValueError, match="ascending"):
        control_depth_m(40.0, curve)
    with pytest.raises(ValueError, match="height"):
        control_depth_m(math.nan)


def test_a_smaller_depth_is_worse() -> None:
    curves = {RED: ((30.0, 2.0), (60.0, 4.0)), ORANGE: ((30.0, 2.2), (60.0, 4.4))}
    assert depth_level(3.0, 45.0, curves) is RED
    assert depth_level(3.01, 45.0, curves) is ORANGE
    assert depth_level(3.31, 45.0, curves) is None


def test_beach_and_freeboard() -> None:
    assert tailings.beach_slope(101.0, 10.0, 100.0, 110.0) == pytest.approx(0.01)
    assert tailings.dry_beach_m(102.0, 100.5, 0.01) == pytest.approx(150.0)
    assert tailings.dry_beach_m(102.0, 103.0, 0.01) == 0.0
    assert tailings.freeboard_m(102.0, 103.0) == -1.0
    with pytest.raises(ValueError, match="slope"):
        tailings.dry_beach_m(102.0, 100.0, 0.0)
    with pytest.raises(ValueError, match="distances"):
        tailings.beach_slope(1.0, 5.0, 2.0, 5.0)


def test_phreatic_depth_from_a_vibrating_wire() -> None:
    head = tailings.head_m(0.05, 9000.0, 8000.0, warming_kpa=0.5, air_kpa=1.46675)
    assert head == pytest.approx(5.0)
    assert tailings.phreatic_depth_m(120.0, 108.0, head) == pytest.approx(7.0)
    assert tailings.head_m(0.05, 8000.0, 9000.0) == 0.0


@pytest.mark.parametrize(
    ("volume", "height", "found"),
    [
        (50_000, 0, 2),
        (50_000, 100, 1),
        (0, 200, 2),
        (9_999, 99.9, 3),
        (10_000, 60, 2),
        (100, 29.9, 4),
        (99, 30, 4),
        (99, 29, 5),
        (99, 150, 3),
        (99, 60, 4),
    ],
)
def test_classes_of_ponds(volume: float, height: float, found: int) -> None:
    assert pond_class(volume, height) == found
    assert pond_class(volume, height, severe=True) == max(1, found - 1)


def test_a_pond_without_size_is_refused() -> None:
    with pytest.raises(ValueError, match="numbers"):
        pond_class(math.nan, 10.0)


@pytest.mark.parametrize(
    ("found", "total"),
    [
        ([], None),
        ([None, None], None),
        ([BLUE] * 3, BLUE),
        ([BLUE] * 4, YELLOW),
        ([BLUE] * 11, YELLOW),
        ([BLUE] * 12, ORANGE),
        ([BLUE] * 24, RED),
        ([YELLOW] * 2 + [BLUE] * 3, YELLOW),
        ([YELLOW] * 2 + [BLUE] * 4, ORANGE),
        ([YELLOW] * 3, ORANGE),
        ([ORANGE] + [YELLOW] * 3, RED),
        ([ORANGE] * 2, RED),
        ([ORANGE, YELLOW, YELLOW, BLUE, BLUE, BLUE, BLUE], RED),
        ([RED], RED),
    ],
)
def test_so_many_of_a_level_are_one_of_the_next(found: list[Level | None], total: Level | None) -> None:
    assert aggregate(found) is total


@given(levels, st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(found: list[Level | None], chance: object) -> None:
    mixed = list(found)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert aggregate(mixed) is aggregate(found)


@given(levels)
def test_the_sum_is_at_least_the_highest(found: list[Level | None]) -> None:
    assert rank(aggregate(found)) >= max(map(rank, found), default=0)


@given(levels.filter(bool), st.data())
def test_a_worse_or_another_point_never_lowers_the_sum(
    found: list[Level | None], data: st.DataObject
) -> None:
    nth = data.draw(st.integers(0, len(found) - 1))
    worse = data.draw(st.sampled_from([level for level in [None, *Level] if rank(level) >= rank(found[nth])]))
    raised = [*found[:nth], worse, *found[nth + 1 :]]
    assert rank(aggregate(raised)) >= rank(aggregate(found))
    assert rank(aggregate([*found, worse])) >= rank(aggregate(found))
