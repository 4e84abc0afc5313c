"""What instruments show, as pure functions: a value depends on (seed, station, metric, time, rain), nothing else.

All figures are invented so that a calm county stays calm; none is a threshold.
"""

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

_CREEP_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SOAK_STEP: Final = timedelta(minutes=30)
_SOAK_STEPS: Final = 24  # rain older than 12 h is taken as drained
_SOAK_HOURS: Final = 6.0  # in which 63 % of the rain has reached the ground water


class Moment(NamedTuple):
    """What a waveform may depend on. `soaked_mm` is the rain that has reached the ground water by `time`."""

    seed: int
    station: str
    time: datetime
    soaked_mm: float


def draw(*key: object) -> np.random.Generator:
    """A random generator that is the same for the same key in every process (unlike Python's `hash`)."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def soaked_mm(rain_mm: Callable[[datetime], float], time: datetime) -> float:
    """Rain that has reached the ground water by `time`, from the rain total `rain_mm(t)` in mm."""
    soaked, later = 0.0, rain_mm(time)
    for step in range(1, _SOAK_STEPS + 1):
        earlier = rain_mm(time - step * _SOAK_STEP)
        age_h = (step - 0.5) * _SOAK_STEP / timedelta(hours=1)
        soaked += (later - earlier) * (1.0 - math.exp(-age_h / _SOAK_HOURS))
        later = earlier
    return soaked


def _own(moment: Moment, metric: str, low: float, high: float) -> float:
    """The instrument's own constant between `low` and `high`."""
    return float(draw(moment.seed, moment.station, metric).uniform(low, high))


def _noise(moment: Moment, metric: str, sigma: float) -> float:
    stamp = int(moment.time.timestamp())
    return float(draw(moment.seed, moment.station, metric, stamp).normal(0.0, sigma))


def _day(moment: Moment) -> float:
    """The daily cycle between -1 (before dawn) and 1 (early afternoon, Beijing time)."""
    hour = (moment.time.timestamp() / 3600.0 + 8.0) % 24.0
    return math.sin((hour - 8.0) / 24.0 * 2.0 * math.pi)


def displacement(moment: Moment) -> float:
    """Cumulative creep in mm: some hundredths of a millimetre a day, a thermal cycle, a little noise."""
    days = (moment.time - _CREEP_SINCE) / timedelta(days=1)
    creep = _own(moment, "displacement", 2.0, 15.0) + days * _own(moment, "creep", 0.01, 0.06)
    return round(creep + 0.15 * _day(moment) + _noise(moment, "displacement", 0.03), 2)


def phreatic_depth(moment: Moment) -> float:
    """Depth of the phreatic line in m: rain lifts it slowly, so the depth shrinks."""
    rest = _own(moment, "phreatic_depth", 9.0, 14.0)
    return round(rest - 0.012 * moment.soaked_mm + _noise(moment, "phreatic_depth", 0.008), 3)


def pond_level(moment: Moment) -> float:
    """Water level of the pond in m above the datum."""
    rest = _own(moment, "pond_level", 280.0, 420.0)
    return round(rest + 0.004 * moment.soaked_mm + _noise(moment, "pond_level", 0.003), 3)


def dry_beach(moment: Moment) -> float:
    """Length of the dry beach in m: the same rise as `pond_level` over a beach that slopes 1.2 %."""
    rest = _own(moment, "dry_beach", 130.0, 180.0)
    return round(rest - 0.004 * moment.soaked_mm / 0.012 + _noise(moment, "dry_beach", 0.2), 1)


def seepage(moment: Moment) -> float:
    """Seepage in l/s."""
    rest = _own(moment, "seepage", 1.2, 3.0)
    return round(rest + 0.01 * moment.soaked_mm + _noise(moment, "seepage", 0.02), 2)


def battery(moment: Moment) -> float:
    """Volts of a 12 V battery behind a solar panel."""
    rest = _own(moment, "battery", 12.4, 12.8)
    return round(rest + 0.3 * _day(moment) + _noise(moment, "battery", 0.01), 2)


WAVEFORMS: Final[dict[str, Callable[[Moment], float]]] = {
    "displacement": displacement,
    "phreatic_depth": phreatic_depth,
    "pond_level": pond_level,
    "dry_beach": dry_beach,
    "seepage": seepage,
    "battery": battery,
}
"""The metrics the simulator can play besides rain; a station's other metrics stay silent."""
