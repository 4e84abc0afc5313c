"""The rivals of the law of failure describe the motions they are meant for, down to the last digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.formulas import motion

X = np.linspace(0.0, 1.0, 200)


def spread(y: np.ndarray) -> float:
    return float(((y - y.mean()) ** 2).sum())


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 199))
def test_two_straight_lines_with_any_break_are_steady(a: float, b: float, c: float, at: int) -> None:
    y = np.where(np.arange(200) < at, a * X, b * X + c)
    assert motion.steady(X, y) <= 1e-9


def test_the_break_is_where_it_is_best() -> None:
    y = np.random.default_rng(1).normal(0, 1, 30).cumsum()
    x = np.sort(np.random.default_rng(2).uniform(0, 1, 30))

    def left(i: int, j: int) -> float:
        fit = np.polyfit(x[i:j], y[i:j], 1) if j - i > 2 else None
        return 0.0 if fit is None else float(((y[i:j] - np.polyval(fit, x[i:j])) ** 2).sum())

    assert motion.steady(x, y) == pytest.approx(min(left(0, at) + left(at, 30) for at in range(1, 31)))


@given(st.floats(0.34, 30), st.floats(0, 6.3), st.floats(-9, 9), st.integers(1, 199), st.floats(-9, 9))
def test_a_trend_with_a_slow_sine_and_a_step_is_smooth(
    period: float, phase: float, trend: float, at: int, jump: float
) -> None:
    y = np.sin(2 * np.pi * X / period + phase) + trend * X + jump * (np.arange(200) >= at)
    # The frequency is found to a few thousandths.
    assert motion.smooth(X, y, 0.5) <= 2e-4 * spread(np.sin(2 * np.pi * X / min(period, 1.0)))


@given(st.floats(0.1, 50), st.booleans(), st.floats(-9, 9))
def test_exponential_growth_and_decay_are_smooth(rate: float, grows: bool, trend: float) -> None:
    wave = np.exp(rate * (X - 1)) if grows else np.exp(-rate * X)
    assert motion.smooth(X, wave + trend * X, 0.5) <= 2e-4 * spread(wave)


def test_constantly_growing_acceleration_is_smooth() -> None:
    y = 3 * X**3 - X**2 + X
    assert motion.smooth(X, y, 0.5) <= 1e-12


@pytest.mark.parametrize(("span_d", "period_d"), [(30.0, 1.0), (3000.0, 365.25)])
def test_the_day_and_the_year_are_known_in_long_spans(span_d: float, period_d: float) -> None:
    days = X * span_d
    y = 5 * np.cos(2 * np.pi * days / period_d + 1) + 0.1 * days
    assert motion.smooth(X, y, span_d) <= 1e-9 * spread(y)
    other = 5 * np.cos(2 * np.pi * days / (1.3 * period_d) + 1)
    assert motion.smooth(X, other, span_d) > 0.1 * spread(other)


def test_the_minimum_is_found_between_the_points_of_the_grid() -> None:
    least, where = motion.minimum(lambda x: (x - 0.37) ** 2 + 1.0, np.arange(-3.0, 4.0), rounds=8)
    assert least == pytest.approx(1.0)
    assert where == pytest.approx(0.37, abs=1e-3)
