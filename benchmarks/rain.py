"""Rain for the benchmark of the rules: every gauge every five minutes, as a county's seasons mix, the same each time.

A third of the gauges is in its flood season, a third between the seasons, a third in the dry one: wet and dry spells are
a Markov chain of two states, amounts of a wet interval are gamma-distributed tenths of a millimetre. Each gauge has a
second of the five minutes of its own, so that readings of a round are in random order of gauges and each has its own time.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.catalogue.model import Catalogue, Function, Indicator, Item, LevelLine, StationRule
from tongluo.duration import parse
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.readings import Series

SEED: Final = 20260701
START_US: Final = 1_782_864_000_000_000  # 2026-07-01T00:00Z
EVERY_S: Final = 300
# Hours of each window, and the lines on them (mm): the signals of CMA order 16 (2007).
WINDOWS_H: Final = (1, 3, 6, 12, 24)
LINES: Final = (("blue", 12, 50.0), ("yellow", 6, 50.0), ("orange", 3, 50.0), ("red", 3, 100.0))
# Of the five-minute intervals of each season, the share that is wet; and how likely a wet one follows a wet one.
WET_SHARES: Final = (0.20, 0.08, 0.02)
WET_AGAIN: Final = 0.85
# Gamma distribution of a wet interval's amount (mm): mean 0.9, mostly drizzle, now and then 10 mm.
_SHAPE, _SCALE_MM = 0.45, 2.0


class Round(NamedTuple):
    """One reading of every gauge in order of time: gauge (a number from 0), time (microseconds), rain (mm)."""

    gauge: NDArray[np.int64]
    time_us: NDArray[np.int64]
    rain_mm: NDArray[np.float64]


class Rain:
    """Round after round. `wet`: every interval of every gauge is wet. `heavy`: that many times as much falls."""

    def __init__(self, gauges: int, *, wet: bool = False, heavy: float = 1.0) -> None:
        self._chance = np.random.default_rng(SEED)
        self._gauges, self._always, self._heavy = gauges, wet, heavy
        phase_s = self._chance.integers(0, EVERY_S, gauges)
        self._order = np.argsort(phase_s, kind="stable").astype(np.int64)
        self._phase_us = phase_s[self._order] * 1_000_000
        share = np.array(WET_SHARES)[np.arange(gauges) % len(WET_SHARES)]
        self._begins = share * (1 - WET_AGAIN) / (1 - share)
        self._wet = self._chance.random(gauges) < share
        self._round = 0
        self.wet_intervals = 0

    def round(self) -> Round:
        """The next one."""
        self._wet = self._chance.random(self._gauges) < np.where(self._wet, WET_AGAIN, self._begins)
        wet = np.ones(self._gauges, bool) if self._always else self._wet
        amount = np.rint(self._chance.gamma(_SHAPE, _SCALE_MM * self._heavy, self._gauges) * 10) / 10
        rain = np.where(wet, np.maximum(amount, 0.1), 0.0)
        self.wet_intervals += int(wet.sum())
        start_us = START_US + self._round * EVERY_S * 1_000_000
        self._round += 1
        return Round(self._order, start_us + self._phase_us, rain[self._order])

    @property
    def wet_share(self) -> float:
        """Of all intervals so far."""
        return self.wet_intervals / max(1, self._round * self._gauges)


def name_of(gauge: int) -> str:
    return f"R-{gauge:06d}"


def series_of(gauge: int) -> Series:
    """A site of its own, twenty a gateway."""
    return Series(name_of(gauge), "rain", f"S-{gauge:06d}", f"G-{gauge // 20:05d}")


def catalogue(*, release_ratio: float = 0.8, release_after: str = "1h") -> Catalogue:
    """Five windows and four lines, given up below a share of the line for a time."""
    windows = tuple(
        Indicator(f"rain_{h}h", Words(f"{h}小时雨量", f"{h} h rain"), "mm", Function.SUM, parse(f"{h}h"))
        for h in WINDOWS_H
    )
    lines = tuple(LevelLine(Level(level), f"rain_{h}h", mm, release_ratio) for level, h, mm in LINES)
    words = Words("暴雨", "rainstorm")
    item = Item("rain", Words("雨量", "rain"), "rain", windows, lines, parse(release_after))
    rule = StationRule(
        "rainstorm", "benchmark", "rainstorm", words, "CMA order 16 (2007)", (item,), parse("1h")
    )
    return Catalogue("benchmark", (rule,))


def written(folder: Path, rain: Rain, number: int) -> int:
    """The same rain for the peers, as columns in files that need nothing of ours to be read; returns how many readings."""
    several = [rain.round() for _ in range(number)]
    for name in Round._fields:
        np.save(folder / f"{name}.npy", np.concatenate([getattr(one, name) for one in several]))
    return sum(len(one.gauge) for one in several)
