"""How a slope creeps: velocity, acceleration, tangent angle and steady rate from a displacement record.

Times are microseconds since the epoch (int64, strictly ascending), displacements millimetres (float64), rates
millimetres a day. Everything is causal: a value at a time is made of readings at or before it, over their real gaps.
"""

import enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongluo.finding import Level

DAY_US: Final = 86_400_000_000

Times = NDArray[np.int64]
Values = NDArray[np.float64]

# Chen et al. 2024: what a steady month may do, in terms of V0.
V0_RATIOS: Final = ((10.0, Level.RED), (5.0, Level.ORANGE), (1.0, Level.YELLOW))
# Xu et al. 2009.
MEDIUM_DEG: Final = 80.0
CRITICAL_DEG: Final = 85.0


class Stage(enum.StrEnum):
    """Stage of creep by the improved tangent angle (Xu et al. 2009)."""

    INITIAL = "initial"
    UNIFORM = "uniform"
    ACCELERATING = "accelerating"
    MEDIUM = "medium"
    CRITICAL = "critical"


def checked(times_us: Times, values: Values) -> tuple[Times, Values]:
    """The record as arrays. ValueError if lengths differ, times do not ascend, or a value is not finite."""
    times, values = np.asarray(times_us, np.int64), np.asarray(values, np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise ValueError(f"{times.shape} times and {values.shape} values: one value for each time is needed")
    if np.any(np.diff(times) <= 0):
        raise ValueError("times must ascend strictly")
    if not np.all(np.isfinite(values)):
        raise ValueError("values must be finite")
    return times, values


def velocity(times_us: Times, values_mm: Values) -> Values:
    """v_i = (U_i - U_{i-1}) / (t_i - t_{i-1}) in mm/d; NaN at the first reading."""
    times, values = checked(times_us, values_mm)
    return _quotients(times, values)


def acceleration(times_us: Times, values_mm: Values) -> Values:
    """a_i = (v_i - v_{i-1}) / (t_i - t_{i-1}) in mm/d²; NaN at the first two readings."""
    times, values = checked(times_us, values_mm)
    return _quotients(times, _quotients(times, values))


def _quotients(times: Times, values: Values) -> Values:
    out = np.full(values.shape, np.nan)
    out[1:] = np.diff(values) / (np.diff(times) / DAY_US)
    return out


def trailing_slope(times_us: Times, values: Values, window_us: int, least: int = 3) -> Values:
    """At each reading the least-squares slope of those in (t - window, t], per day; NaN with fewer than `least`."""
    times, values = checked(times_us, values)
    firsts = _firsts(times, window_us)
    if least < 2:
        raise ValueError("a slope needs at least two readings")
    out = np.full(values.shape, np.nan)
    for i, first in enumerate(firsts):
        if i + 1 - first >= least:
            out[i] = slope(times[first : i + 1], values[first : i + 1])
    return out


def slope(times_us: Times, values: Values) -> float:
    """The least-squares slope of two or more readings, per day."""
    days = (times_us - times_us[0]) / DAY_US
    days = days - days.mean()
    return float(days @ (values - values.mean()) / (days @ days))


def trailing_mean(times_us: Times, values: Values, window_us: int) -> Values:
    """At each reading the mean of those in (t - window, t]: simple smoothing that never looks ahead."""
    times, values = checked(times_us, values)
    means = [values[first : i + 1].mean() for i, first in enumerate(_firsts(times, window_us))]
    return np.array(means, np.float64)


def _firsts(times: Times, window_us: int) -> list[int]:
    if window_us <= 0:
        raise ValueError("a window must be longer than nothing")
    return [int(first) for first in np.searchsorted(times, times - window_us, side="right")]


def tangent_angle_deg(rate: Values | float, uniform_rate: float) -> Values:
    """Improved tangent angle alpha = arctan(v / V) in degrees, both rates in the same unit.

    V is the reviewed mean rate of the uniform stage; ValueError unless it is above 0. 80° is v = 5.67 V, 85° 11.43 V.
    Source: Xu Q. et al., Geological Bulletin of China 28(4), 2009, 501-505.
    """
    if not (np.isfinite(uniform_rate) and uniform_rate > 0):
        raise ValueError(f"the uniform rate must be above 0, not {uniform_rate}")
    return np.degrees(np.arctan(np.asarray(rate, np.float64) / uniform_rate))


def stage(angle_deg: float, uniform_within_deg: float = 5.0) -> Stage | None:
    """The stage an angle stands for; None for NaN. 'About 45°' is within `uniform_within_deg` (our reading).

    Source: Xu et al. 2009: below 45° initial, about 45° uniform, above accelerating, above 80° medium acceleration,
    above 85° critical.
    """
    if np.isnan(angle_deg):
        return None
    if angle_deg > CRITICAL_DEG:
        return Stage.CRITICAL
    if angle_deg > MEDIUM_DEG:
        return Stage.MEDIUM
    if angle_deg > 45.0 + uniform_within_deg:
        return Stage.ACCELERATING
    return Stage.UNIFORM if angle_deg >= 45.0 - uniform_within_deg else Stage.INITIAL


def increments(times_us: Times, values_mm: Values, span_us: int = 30 * DAY_US) -> Values:
    """Displacement (mm) in the `span` before each reading that has one at least so long before it.

    It is measured from the newest such reading and scaled by the real gap to the span; with daily readings it is the
    plain difference.
    """
    times, values = checked(times_us, values_mm)
    if span_us <= 0:
        raise ValueError("a span must be longer than nothing")
    before = np.searchsorted(times, times - span_us, side="right") - 1
    has = before >= 0
    gaps = (times[has] - times[before[has]]) / span_us
    return np.asarray((values[has] - values[before[has]]) / gaps, np.float64)


def steady_threshold(
    times_us: Times,
    values_mm: Values,
    span_us: int = 30 * DAY_US,
    record_share: float = 0.8,
    steady_share: float = 0.9,
) -> float:
    """V0 = 1.5 mean + 2 standard deviations (ddof 1) of the steady displacements per `span`, in mm per span.

    Steady are those in the first `record_share` of the readings, less the top ones above the `steady_share` quantile.
    ValueError with fewer than two. Source: Chen et al. 2024, doi 10.1007/s10064-024-03928-y.
    """
    times, values = checked(times_us, values_mm)
    kept = int(len(times) * record_share)
    every = increments(times[:kept], values[:kept], span_us)
    steady = every[every <= np.quantile(every, steady_share)] if every.size else every
    if steady.size < 2:
        raise ValueError("the record is too short: fewer than two steady displacements")
    return float(1.5 * steady.mean() + 2.0 * steady.std(ddof=1))


def steady_level(increment_mm: float, v0_mm: float) -> Level | None:
    """Yellow from V0 on, orange from 5 V0, red from 10 V0 (Chen et al. 2024); both per the same span.

    ValueError unless V0 is above 0: a record that does not move gives no threshold.
    """
    if not (np.isfinite(v0_mm) and v0_mm > 0):
        raise ValueError(f"V0 must be above 0, not {v0_mm}")
    return next((level for ratio, level in V0_RATIOS if increment_mm >= ratio * v0_mm), None)
