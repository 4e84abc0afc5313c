"""An indicator's curve over time, for the eye alone: what is judged is judged by services/rules/stations.

Drawn are those that a window of readings gives directly: sums and their weighted sums, the newest value, maximum, mean,
change and rate. Slopes and rain events are left to the engine.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.rules.catalogue.model import Function, Indicator, Item

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_HOUR_US: Final = 3_600_000_000


def curve(
    item: Item, name: str, times_us: Ints, values: Floats, parameters: Mapping[str, float]
) -> Floats | None:
    """The indicator `name` of an item at every time, in its unit; None where it cannot be drawn."""
    by_name = {one.name: one for one in item.indicators}
    indicator = by_name.get(name)
    if indicator is None or indicator.angle:
        return None
    if indicator.weights is not None:
        parts = [
            (weight, curve(item, of, times_us, values, parameters))
            for of, weight in indicator.weights.items()
        ]
        drawn = [weight * part for weight, part in parts if part is not None]
        return indicator.scale * np.sum(drawn, axis=0) if len(drawn) == len(parts) and drawn else None
    raw = _windowed(indicator, times_us, values)
    if raw is None:
        return None
    if indicator.divide_by is not None:
        divisor = parameters.get(indicator.divide_by)
        if not divisor:
            return None
        raw = raw / divisor
    return raw * indicator.scale


def longest(item: Item, name: str) -> timedelta:
    """How far back an indicator looks."""
    by_name = {one.name: one for one in item.indicators}
    indicator = by_name.get(name)
    if indicator is None:
        return timedelta(0)
    return max((longest(item, of) for of in indicator.weights or ()), default=indicator.span)


def _windowed(indicator: Indicator, times_us: Ints, values: Floats) -> Floats | None:
    """A function of (t - span, t] at every t."""
    of = _OF.get(indicator.function)
    if of is None or not len(times_us):
        return None
    begins = np.searchsorted(times_us, times_us - indicator.span // timedelta(microseconds=1), "right")
    if indicator.function is Function.LAST:
        begins = np.arange(len(times_us))
    return of(times_us, values, begins)


def _sum(times_us: Ints, values: Floats, begins: Ints) -> Floats:
    # In thousandths, as the engine sums: a line is met exactly.
    total = np.concatenate([[0], np.cumsum(np.rint(values * 1000).astype(np.int64))])
    found: Floats = (total[1:] - total[begins]) / 1000
    return found


def _change(times_us: Ints, values: Floats, begins: Ints) -> Floats:
    return values - values[begins]


def _rate(times_us: Ints, values: Floats, begins: Ints) -> Floats:
    hours = (times_us - times_us[begins]) / _HOUR_US
    found: Floats = np.full(len(values), np.nan)
    np.divide(values - values[begins], hours, out=found, where=hours > 0)
    return found


def _each(reduce: Callable[[Floats], float]) -> Callable[[Ints, Floats, Ints], Floats]:
    def over(times_us: Ints, values: Floats, begins: Ints) -> Floats:
        return np.array([reduce(values[begin : nth + 1]) for nth, begin in enumerate(begins)], np.float64)

    return over


_OF: Final[Mapping[Function, Callable[[Ints, Floats, Ints], Floats]]] = {
    Function.LAST: _each(lambda window: float(window[-1])),
    Function.SUM: _sum,
    Function.MAX: _each(lambda window: float(window.max())),
    Function.MEAN: _each(lambda window: float(window.mean())),
    Function.CHANGE: _change,
    Function.RATE: _rate,
}
