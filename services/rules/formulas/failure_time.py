"""When a slope may fail: the law of inverse velocity (Fukuzono 1985, alpha = 2), and when it says nothing.

By the law 1/v = A (tf - t), so the displacement is S(t) = S0 - (1/A) ln(tf - t) but for a constant. `forecast` fits this
to the displacements themselves by least squares: differences of noisy readings would make 1/v worse than useless, and
means over their gaps would move tf. For a given tf the law is linear in S0 and 1/A, which leaves a search in one
variable.

A fit alone proves nothing: the rising part of a sine, a step or noise has some best tf too. So a time is given only where
the law describes the readings far better than every motion of motion.py, which ends in no failure. If one of those is
the true motion, with independent noise, a log-likelihood ratio of m in the law's favour has a chance of about e^-m.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import numpy as np

from services.rules.formulas import motion
from services.rules.formulas.creep import DAY_US, Times, Values, checked
from tongluo.finding import Forecast
from tongluo.hazards import Words

# Of a longer span only so many readings are looked at, evenly chosen.
MOST_READINGS: Final = 1000
# Each span tried is so much of the next longer one.
_SHORTER: Final = 0.8
_NORMAL_95: Final = 1.96


class Limits(msgspec.Struct, frozen=True):
    """When a failure time is withheld."""

    least_readings: int = 10
    """Since the onset of acceleration."""
    least_advantage: float = 15.0
    """Log-likelihood ratio (nats) of the law against the best motion that ends in no failure."""
    least_fit: float = 0.8
    """The share of the departure from uniform motion that the law explains (R²)."""
    furthest: float = 10.0
    """How far off a failure may be, in multiples of the span since the onset."""


class Fit(msgspec.Struct, frozen=True):
    """The law fitted to the readings since an onset. `remaining` is from the last reading to failure, in spans."""

    readings: int
    span_us: int
    remaining: float
    squares: float
    over_steady: float
    """Log-likelihood ratio against uniform motion with a sudden change; of all onsets tried, the greatest."""
    advantage: float
    """Against the best of all rivals."""
    r_squared: float


def forecast(
    times_us: Times, values_mm: Values, now_us: int | None = None, limits: Limits | None = None
) -> Forecast:
    """The time of failure by inverse velocity, with its 95 % band and R²; or none, with the reason.

    `times_us` ascend, `values_mm` is the cumulative displacement, growing in the direction of motion. `now_us` is the
    event time of the judgement (the last reading if not given). The onset of acceleration is where the law's advantage
    over its rivals is greatest, tried from the first reading on in spans ever shorter by a fifth. The band is that of the
    profile likelihood of tf (Fieller's for a model that is linear but for tf), by Student's t with the readings counted
    as independent as their residuals are; `latest` is None where it has no end. ValueError for a broken record.
    """
    times, values = checked(times_us, values_mm)
    limits = limits if limits is not None else Limits()
    fit = best_fit(times, values, limits)
    if fit is None:
        return _withheld(
            f"起始加速后测点数据不足 {limits.least_readings} 个",
            f"fewer than {limits.least_readings} readings since the onset of acceleration",
        )
    last = int(times[-1])
    failure = last + round(fit.remaining * fit.span_us)
    withheld = _reason(fit, limits, failure, last if now_us is None else now_us)
    if withheld is not None:
        return withheld
    early, late = _band(*_newest(times, values, fit.readings), fit, 3.0 * limits.furthest)
    return Forecast(
        _moment(failure),
        _moment(last + math.floor(early * fit.span_us)),
        _moment(last + math.ceil(late * fit.span_us)) if late is not None else None,
        fit.r_squared,
    )


def _withheld(zh: str, en: str, fit: float | None = None) -> Forecast:
    return Forecast(None, fit=fit, reason=Words(zh, en))


def _reason(fit: Fit, limits: Limits, failure_us: int, now_us: int) -> Forecast | None:
    """Why this fit gives no failure time, if it does not. The gravest doubt first."""
    if fit.over_steady < limits.least_advantage:
        return _withheld("速度未见显著持续增大", "the velocity does not rise significantly", fit.r_squared)
    if fit.advantage < limits.least_advantage:
        return _withheld(
            "季节性或趋缓的变化同样可以解释加速，倒速度尚不成直线",
            "a seasonal or passing acceleration explains the readings as well: 1/v is not surely a straight line",
            fit.r_squared,
        )
    if fit.r_squared < limits.least_fit:
        return _withheld(
            f"拟合优度 {fit.r_squared:.2f} 低于 {limits.least_fit:.2f}",
            f"the fit, {fit.r_squared:.2f}, is below {limits.least_fit:.2f}",
            fit.r_squared,
        )
    if fit.remaining > limits.furthest:
        return _withheld(
            f"推算时间远于加速历时的 {limits.furthest:g} 倍",
            f"further off than {limits.furthest:g} times the span since the onset of acceleration",
            fit.r_squared,
        )
    if failure_us <= now_us:
        return _withheld("推算时间已过", "the time found has passed", fit.r_squared)
    return None


def _moment(time_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)


# --- the fit ---------------------------------------------------------------------------------------------------------


def best_fit(times_us: Times, values_mm: Values, limits: Limits) -> Fit | None:
    """The law since that onset for which it has the greatest advantage; None with too few readings."""
    best: Fit | None = None
    over_steady = -math.inf
    for readings in _spans(len(times_us), limits.least_readings):
        least = limits.least_advantage if best is None else max(best.advantage, limits.least_advantage)
        fit = _fit(*_newest(times_us, values_mm, readings), limits, least)
        if best is None or fit.advantage > best.advantage:
            best = msgspec.structs.replace(fit, readings=readings)
        over_steady = max(over_steady, fit.over_steady)
    return msgspec.structs.replace(best, over_steady=over_steady) if best is not None else None


def _spans(readings: int, least: int) -> Iterator[int]:
    while readings >= max(least, 4):
        yield readings
        readings = min(readings - 1, int(readings * _SHORTER))


def _newest(times_us: Times, values_mm: Values, readings: int) -> tuple[Times, Values]:
    """The newest readings, thinned if they are too many; the last one always among them."""
    step = math.ceil(readings / MOST_READINGS)
    return times_us[-readings:][::-step][::-1], values_mm[-readings:][::-step][::-1]


def _fit(times_us: Times, values_mm: Values, limits: Limits, worth: float) -> Fit:
    """The law over these readings. The rivals that take long are asked only where those before leave it `worth`."""
    x, span_us = _scaled(times_us)
    y = values_mm - values_mm.mean()
    squares, remaining = _law(x, y, 3.0 * limits.furthest)
    # What numbers of this size cannot tell from nothing.
    floor = len(y) * (4.0 * math.ulp(1.0) * float(np.abs(values_mm).max())) ** 2 + 1e-300

    def advantage(rival: float) -> float:
        return 0.5 * len(y) * math.log((rival + floor) / (squares + floor))

    steady = motion.steady(x, y)
    over_steady = advantage(steady)
    over_all = over_steady
    if over_steady >= worth:
        over_all = advantage(min(steady, motion.smooth(x, y, span_us / DAY_US)))
    uniform = y - np.polyval(np.polyfit(x, y, 1), x)
    r_squared = max(0.0, 1.0 - (squares + floor) / (float(uniform @ uniform) + floor))
    return Fit(len(y), span_us, remaining, squares, over_steady, over_all, r_squared)


def _scaled(times_us: Times) -> tuple[Values, int]:
    span_us = int(times_us[-1] - times_us[0])
    return (times_us - times_us[0]) / span_us, span_us


def _law(x: Values, y: Values, furthest: float) -> tuple[float, float]:
    """Sum of squares and time remaining after the last reading (in spans) of the best failure up to `furthest`."""
    nearest = 1e-6 * float(x[-1] - x[-2])
    grid = np.linspace(
        math.log(nearest), math.log(furthest), math.ceil(math.log(furthest / nearest) / 0.3) + 1
    )
    squares, where = motion.minimum(lambda logs: _law_squares(x, y, np.exp(logs)), grid, rounds=6)
    remaining = _polished(x, y, math.exp(where))
    polished = float(_law_squares(x, y, np.array([remaining]))[0])
    return (polished, remaining) if polished <= squares else (squares, math.exp(where))


def _law_squares(x: Values, y: Values, remaining: Values) -> Values:
    """Residuals of S0 - (1/A) ln(tf - t) for each time remaining; those of no motion where A is not above 0."""
    y = y - y.mean()
    shape = -np.log((1.0 - x)[None, :] + remaining[:, None])
    shape -= shape.mean(axis=1, keepdims=True)
    scale = np.maximum(shape @ y / np.einsum("rn,rn->r", shape, shape), 0.0)
    left = y - scale[:, None] * shape
    return np.asarray((left * left).sum(axis=1), np.float64)


def _polished(x: Values, y: Values, remaining: float, rounds: int = 8) -> float:
    """Gauss-Newton from a good start: squares alone are flat to half the digits around their minimum."""
    for _ in range(rounds):
        left = 1.0 - x + remaining
        columns = np.stack([np.ones_like(x), -np.log(left), 1.0 / left], axis=1)
        _, scale, tilt = np.linalg.lstsq(columns, y, rcond=None)[0]
        if scale <= 0:
            break
        remaining = min(max(remaining - float(tilt / scale), 0.5 * remaining), 2.0 * remaining)
    return remaining


def _band(times_us: Times, values_mm: Values, fit: Fit, furthest: float) -> tuple[float, float | None]:
    """Between which times remaining (in spans) tf lies, at 95 %; None where the later end is beyond `furthest`."""
    x, _ = _scaled(times_us)
    y = values_mm - values_mm.mean()
    shape = -np.log(1.0 - x + fit.remaining)
    left = y - np.polyval(np.polyfit(shape, y, 1), shape)
    again = float(left[1:] @ left[:-1] / (left @ left)) if np.any(left) else 0.0
    again = min(max(again, 0.0), 0.99)
    free = max(len(y) * (1 - again) / (1 + again) - 3.0, 1.0)
    student = _NORMAL_95 + (_NORMAL_95**3 + _NORMAL_95) / (4 * free)
    allowed = fit.squares * (1.0 + student**2 / free)

    def within(remaining: float) -> bool:
        return bool(_law_squares(x, y, np.array([remaining]))[0] <= allowed)

    late = None if within(furthest) else _edge(within, fit.remaining, furthest)
    nearest = 1e-9 * fit.remaining
    return (nearest if within(nearest) else _edge(within, fit.remaining, nearest)), late


def _edge(within: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where a range that holds `inside` and not `outside` ends, to nine digits, by halving on a logarithmic scale."""
    for _ in range(60):
        middle = math.sqrt(inside * outside)
        if within(middle):
            inside = middle
        else:
            outside = middle
        if abs(inside - outside) < 1e-9 * inside:
            break
    return inside


# --- the classical constructions -------------------------------------------------------------------------------------


def inverse_velocity(times_us: Times, velocities: Values) -> tuple[float, float] | None:
    """Failure time (microseconds) and R² of the straight line through 1/v: 1/v = c0 + c1 t, tf = -c0/c1.

    None where the line does not fall (c1 >= 0). `velocities` are those at the times, not means over gaps. ValueError
    unless there are three or more, all above 0. Source: Fukuzono 1985.
    """
    times, v = checked(times_us, velocities)
    if len(v) < 3 or np.any(v <= 0):
        raise ValueError("inverse velocity needs three or more velocities, all above 0")
    x, span_us = _scaled(times)
    inverse = 1.0 / v
    slope, at_start = (float(part) for part in np.polyfit(x, inverse, 1))
    if slope >= 0:
        return None
    left, spread = inverse - (at_start + slope * x), inverse - inverse.mean()
    return float(times[0]) - at_start / slope * span_us, 1.0 - float(left @ left) / float(spread @ spread)


def saito(t1: float, t2: float, t3: float) -> float:
    """Failure time from three times with equal displacement between them, in the unit of the times.

    tr - t1 = 0.5 (t2 - t1)² / ((t2 - t1) - 0.5 (t3 - t1)). ValueError unless the second interval is shorter than the
    first: the slope must accelerate. Source: Saito 1969; exact under the law of inverse velocity.
    """
    if not 0 < t3 - t2 < t2 - t1:
        raise ValueError("the three times must ascend, the second interval shorter than the first")
    return t1 + 0.5 * (t2 - t1) ** 2 / ((t2 - t1) - 0.5 * (t3 - t1))
