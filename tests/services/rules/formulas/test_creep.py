"""Velocity, tangent angle and steady rate against what they are by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.formulas.creep import (
    DAY_US,
    Stage,
    acceleration,
    increments,
    stage,
    steady_level,
    steady_threshold,
    tangent_angle_deg,
    trailing_mean,
    trailing_slope,
    velocity,
)
from tongluo.finding import Level

gaps = st.lists(st.integers(1, 10 * 86_400), min_size=3, max_size=40)


def times_of(gaps_s: list[int]) -> np.ndarray:
    return np.cumsum(np.array(gaps_s, np.int64) * 1_000_000)


@given(gaps, st.floats(-50, 50), st.floats(-1000, 1000))
def test_a_straight_line_has_its_rate_whatever_the_gaps(gaps_s: list[int], rate: float, start: float) -> None:
    times = times_of(gaps_s)
    values = start + rate * (times - times[0]) / DAY_US
    near = {"rel": 1e-5, "abs": 1e-6}
    assert velocity(times, values)[1:] == pytest.approx(rate, **near)
    assert trailing_slope(times, values, 100 * DAY_US)[2:] == pytest.approx(rate, **near)


def test_velocity_and_acceleration_go_by_the_real_gaps() -> None:
    times = np.array([0, 1, 3, 4]) * DAY_US
    values = np.array([0.0, 2.0, 10.0, 10.0])
    assert velocity(times, values)[1:] == pytest.approx([2.0, 4.0, 0.0])
    assert acceleration(times, values)[2:] == pytest.approx([1.0, -4.0])
    assert np.isnan(velocity(times, values)[0])
    assert np.isnan(acceleration(times, values)[:2]).all()


@given(st.lists(st.floats(-100, 100), min_size=6, max_size=30), st.integers(1, 6))
def test_smoothing_never_looks_ahead_nor_beyond_its_window(values: list[float], days: int) -> None:
    times = np.arange(len(values)) * DAY_US
    record = np.array(values)
    for smooth in (trailing_slope, trailing_mean):
        whole = smooth(times, record, days * DAY_US)
        for i in range(len(values)):
            low = max(0, i - days + 1)
            alone = smooth(times[low : i + 1], record[low : i + 1], days * DAY_US)[-1]
            assert np.array_equal(alone, whole[i], equal_nan=True)


def test_a_window_is_open_at_its_older_end() -> None:
    times = np.array([0, 1, 2]) * DAY_US
    assert trailing_mean(times, np.array([9.0, 1.0, 3.0]), 2 * DAY_US)[-1] == 2.0
    assert np.isnan(trailing_slope(times, np.array([9.0, 1.0, 3.0]), 2 * DAY_US)).all()


@pytest.mark.parametrize(("ratio", "angle"), [(1.0, 45.0), (5.6713, 80.0), (11.4301, 85.0), (57.29, 89.0)])
def test_the_tangent_angle_is_that_of_the_ratio(ratio: float, angle: float) -> None:
    assert tangent_angle_deg(3.0 * ratio, 3.0) == pytest.approx(angle, abs=1e-4)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_without_a_uniform_rate_there_is_no_angle(rate: float) -> None:
    with pytest.raises(ValueError, match="uniform rate"):
        tangent_angle_deg(1.0, rate)


@pytest.mark.parametrize(
    ("angle", "found"),
    [
        (10.0, Stage.INITIAL),
        (39.9, Stage.INITIAL),
        (40.0, Stage.UNIFORM),
        (50.0, Stage.UNIFORM),
        (50.1, Stage.ACCELERATING),
        (80.0, Stage.ACCELERATING),
        (80.1, Stage.MEDIUM),
        (85.0, Stage.MEDIUM),
        (85.1, Stage.CRITICAL),
        (float("nan"), None),
    ],
)
def test_stages(angle: float, found: Stage | None) -> None:
    assert stage(angle) is found


def test_increments_use_the_newest_reading_a_span_before_and_the_real_gap() -> None:
    times = np.array([0, 10, 40, 70]) * DAY_US
    values = np.array([0.0, 1.0, 7.0, 10.0])
    # 40 days less 30: day 10; 70 less 30: day 40.
    assert increments(times, values) == pytest.approx([6.0, 3.0])
    assert increments(np.array([0, 45]) * DAY_US, np.array([0.0, 9.0])) == pytest.approx([6.0])


def test_the_steady_threshold_leaves_out_the_last_fifth_and_the_top_tenth() -> None:
    days = np.arange(200)
    values = 0.1 * days + np.where(days >= 160, 1000.0, 0.0)
    assert steady_threshold(days * DAY_US, values) == pytest.approx(1.5 * 3.0)
    # A burst of 40 mm on day 155 stands in the increments of 5 of 130 days, under a tenth.
    burst = 0.1 * days + np.where(days >= 155, 40.0, 0.0)
    assert steady_threshold(days * DAY_US, burst) == pytest.approx(1.5 * 3.0)


def test_the_steady_threshold_of_uneven_months() -> None:
    times = np.arange(6) * 30 * DAY_US
    # The last of six is left out; increments 1, 2, 3, 9; the 0.9 quantile is 7.2.
    values = np.array([0.0, 1.0, 3.0, 6.0, 15.0, 99.0])
    with pytest.raises(ValueError, match="too short"):
        steady_threshold(times[:3], values[:3])
    v0 = steady_threshold(times, values, record_share=0.85)
    assert v0 == pytest.approx(1.5 * 2.0 + 2.0 * 1.0)


@pytest.mark.parametrize(
    ("ratio", "level"),
    [(0.99, None), (1.0, Level.YELLOW), (4.99, Level.YELLOW), (5.0, Level.ORANGE), (10.0, Level.RED)],
)
def test_levels_by_multiples_of_the_threshold(ratio: float, level: Level | None) -> None:
    assert steady_level(ratio * 8.0, 8.0) is level


def test_a_broken_record_is_refused() -> None:
    for times, values in (([0, 0], [1.0, 2.0]), ([0], [1.0, 2.0]), ([0, 1], [1.0, float("nan")])):
        with pytest.raises(ValueError, match=r"ascend|one value|finite"):
            velocity(np.array(times), np.array(values))
    with pytest.raises(ValueError, match="V0"):
        steady_level(1.0, 0.0)
    with pytest.raises(ValueError, match="window"):
        trailing_mean(np.array([0, 1]), np.array([1.0, 2.0]), 0)
