"""How well motions that end in no failure describe a record: the rivals of the law of failure.

Each function gives the least sum of squared residuals (in the square of the displacement's unit) of a kind of motion
over a record: `x` is time from 0 to 1 over its span, ascending; `y` displacement.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Periods known beforehand (days): what the sun does to instruments and slopes.
PERIODS_D: Final = (1.0, 365.25)
# Angular frequencies over the span (up to three cycles, slower ones to none at all), then rates of exponential growth
# and decay. Faster cycles look like no failure, and those of the sun are taken in by PERIODS_D.
_SHAPES: Final = np.concatenate([np.arange(-20.0, 0.0), [0.0], np.geomspace(1.0, 60.0, 16)])
# Below this a sine and a cubic are the same to the last digits that count.
_FLAT: Final = 0.05


def steady(x: Values, y: Values) -> float:
    """Uniform motion with at most one sudden change: two straight lines, split wherever it is best.

    This takes in a steady slope, a change of its rate, a step, and a last reading that is wrong.
    """
    before = _lines(x, y)
    after = _lines(x[::-1], y[::-1])[::-1]
    before[:-1] += after[1:]
    return float(before.min())


def _lines(x: Values, y: Values) -> Values:
    """Residuals of the straight line through the first one, two, three, ... readings."""
    x, y = x - x.mean(), y - y.mean()
    count = np.arange(1.0, len(x) + 1)
    sum_x, sum_y = np.cumsum(x), np.cumsum(y)
    xx = np.cumsum(x * x) - sum_x**2 / count
    xy = np.cumsum(x * y) - sum_x * sum_y / count
    yy = np.cumsum(y * y) - sum_y**2 / count
    explained = np.divide(xy**2, xx, out=np.zeros_like(xx), where=xx > 1e-14)
    return np.maximum(yy - explained, 0.0)


def smooth(x: Values, y: Values, span_d: float) -> float:
    """Motion whose velocity swings, grows or decays about a mean: the solutions of v''' = k v' for any k.

    A trend with a sine of any period from a third of the span on, a cubic, or a trend with exponentials; with it those
    sines of PERIODS_D that the record (`span_d` days) holds more than once and samples densely enough; and one step.
    """
    gap_d = float(np.median(np.diff(x))) * span_d
    fixed = [np.ones_like(x), x]
    for period in PERIODS_D:
        if span_d > 1.5 * period and gap_d < period / 4:
            angle = 2 * np.pi * x * span_d / period
            fixed += [np.cos(angle), np.sin(angle)]
    base = np.stack(fixed, axis=1)
    least, _ = minimum(lambda shapes: _residuals(_columns(x, shapes, base), y), _SHAPES, rounds=4)
    return least


def _columns(x: Values, shapes: Values, base: Values) -> Values:
    """For each shape the functions the motion is a sum of, (shapes, readings, functions)."""
    columns = np.empty((len(shapes), len(x), base.shape[1] + 2))
    columns[:, :, 2:] = base
    middle = (x - 0.5)[None, :]
    size = np.maximum(np.abs(shapes), _FLAT)[:, None]
    swings, grows = shapes <= -_FLAT, shapes >= _FLAT
    columns[:, :, 0], columns[:, :, 1] = middle**2, middle**3
    columns[swings, :, 0] = np.cos(size[swings] * middle)
    columns[swings, :, 1] = np.sin(size[swings] * middle)
    columns[grows, :, 0] = np.exp(size[grows] * (x - 1.0)[None, :])
    columns[grows, :, 1] = np.exp(-size[grows] * x[None, :])
    return columns


def _residuals(columns: Values, y: Values) -> Values:
    """Residuals of the sum of functions that fits best, with a step wherever it helps most."""
    basis, _ = np.linalg.qr(columns)
    left = y - np.einsum("snf,sf->sn", basis, np.einsum("snf,n->sf", basis, y))
    # A step at reading i is 1 from there on; what counts is its part that the functions do not hold already.
    held = np.cumsum(basis[:, ::-1], axis=1)[:, ::-1]
    own = np.arange(len(y), 0, -1.0) - (held * held).sum(axis=2)
    along = np.cumsum(left[:, ::-1], axis=1)[:, ::-1]
    gain = np.divide(along**2, own, out=np.zeros_like(own), where=own > 1e-9)
    return np.asarray(np.maximum((left * left).sum(axis=1) - gain.max(axis=1), 0.0), np.float64)


def minimum(
    of: Callable[[Values], Values], grid: Values, rounds: int, points: int = 7
) -> tuple[float, float]:
    """The least value of a function of one variable, and where: on a grid, then `rounds` times on a finer one."""
    found = of(grid)
    nth = int(np.argmin(found))
    least, where = float(found[nth]), float(grid[nth])
    for _ in range(rounds):
        grid = np.linspace(grid[max(nth - 1, 0)], grid[min(nth + 1, len(grid) - 1)], points)
        found = of(grid)
        nth = int(np.argmin(found))
        if found[nth] < least:
            least, where = float(found[nth]), float(grid[nth])
    return least, where
