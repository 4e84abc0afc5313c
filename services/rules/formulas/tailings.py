"""A tailings pond in numbers: beach, freeboard, phreatic depth, class, and how levels of many points add up.

Lengths and elevations are metres. Sources: GB 39496-2020 (safety regulation), GB 50863-2013 (design), GB 51108-2015
(online monitoring). The tables are their values as far as they are known and stand for a design that has none of its own.
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final

from tongluo.finding import Level

Curve = tuple[tuple[float, float], ...]
"""A limit by dam height, both in metres: pairs, heights ascending."""

# By dam grade 1 to 5 (GB 50863-2013 4.2.1, 4.2.2).
LEAST_FREEBOARD_M: Final = (1.5, 1.0, 0.7, 0.5, 0.4)
LEAST_BEACH_UPSTREAM_M: Final = (150.0, 100.0, 70.0, 50.0, 40.0)
LEAST_BEACH_DOWNSTREAM_M: Final = (100.0, 70.0, 50.0, 35.0, 25.0)
# By embankment height (GB 50863-2013 4.3).
LEAST_PHREATIC_DEPTH: Final[Curve] = ((30.0, 2.0), (60.0, 4.0), (100.0, 6.0), (150.0, 8.0))
# Lower bounds of classes five to one: volume in 10 000 m³ and height in metres (GB 39496-2020).
_VOLUMES: Final = (100.0, 1_000.0, 10_000.0, 50_000.0)
_HEIGHTS: Final = (30.0, 60.0, 100.0, 200.0)

# GB 39496-2020 5.5.4: so many of a level count as one of the next. In this order: what is promoted counts there.
_STEPS: Final = ((Level.BLUE, 4, Level.YELLOW), (Level.YELLOW, 3, Level.ORANGE), (Level.ORANGE, 2, Level.RED))
_KPA_PER_M: Final = 9.80665


def control_depth_m(height_m: float, curve: Curve = LEAST_PHREATIC_DEPTH) -> float:
    """The least depth of the phreatic line at a dam so high, between the curve's points linear, held at its ends.

    ValueError if the curve is empty or its heights do not ascend. GB 51108-2015 allows interpolation between heights.
    """
    heights = [height for height, _ in curve]
    if not curve or any(b <= a for a, b in itertools.pairwise(heights)):
        raise ValueError("a curve needs points of ascending height")
    if not math.isfinite(height_m):
        raise ValueError(f"the height must be a number, not {height_m}")
    nth = bisect_right(heights, height_m)
    if nth in (0, len(curve)):
        return curve[min(nth, len(curve) - 1)][1]
    (low, at_low), (high, at_high) = curve[nth - 1], curve[nth]
    return at_low + (at_high - at_low) * (height_m - low) / (high - low)


def depth_level(depth_m: float, height_m: float, curves: Mapping[Level, Curve]) -> Level | None:
    """The highest level whose control depth is not kept: at or below it. A smaller depth is worse."""
    reached = (level for level, curve in curves.items() if depth_m <= control_depth_m(height_m, curve))
    return max(reached, default=None)


def beach_slope(level_1_m: float, at_1_m: float, level_2_m: float, at_2_m: float) -> float:
    """Slope of the beach between two surface elevations at two distances from the crest: |p1 - p2| / |x1 - x2|.

    ValueError where the distances are equal.
    """
    if at_1_m == at_2_m:
        raise ValueError("a slope needs two points at different distances")
    return abs(level_1_m - level_2_m) / abs(at_1_m - at_2_m)


def dry_beach_m(crest_m: float, water_m: float, slope: float) -> float:
    """Length of the dry beach: (crest elevation - water level) / slope; 0 where the water stands at the crest or above.

    ValueError unless the slope (a ratio, 0.01 for 1 %) is above 0.
    """
    if not (math.isfinite(slope) and slope > 0):
        raise ValueError(f"the slope of the beach must be above 0, not {slope}")
    return max(0.0, freeboard_m(crest_m, water_m)) / slope


def freeboard_m(crest_m: float, water_m: float) -> float:
    """Height of the crest above the water; negative when it is overtopped."""
    return crest_m - water_m


def head_m(
    factor_kpa: float, zero: float, now: float, warming_kpa: float = 0.0, air_kpa: float = 0.0
) -> float:
    """Water head on a vibrating-wire piezometer: p = G (R0 - R1) + K (T1 - T0) - (S1 - S0), by 9.80665 kPa/m.

    `zero` and `now` are R0 and R1 (digits), `factor_kpa` is G (kPa a digit), `warming_kpa` K (T1 - T0), `air_kpa` the
    change of air pressure. A dry tip gives 0.
    """
    return max(0.0, (factor_kpa * (zero - now) + warming_kpa - air_kpa) / _KPA_PER_M)


def phreatic_depth_m(surface_m: float, piezometer_m: float, water_head_m: float) -> float:
    """Depth of the phreatic line below the surface: surface elevation - (piezometer elevation + head)."""
    return surface_m - (piezometer_m + water_head_m)


def pond_class(volume_10k_m3: float, height_m: float, severe: bool = False) -> int:
    """Class 1 (largest) to 5 by total volume (10 000 m³) and dam height (GB 39496-2020).

    If the two differ by one the higher class counts, if by more the higher less one. `severe` consequences downstream
    raise it by one. ValueError for a volume or height that is negative or not a number.
    """
    if not (volume_10k_m3 >= 0 and height_m >= 0):
        raise ValueError("volume and height must be numbers from 0 up")
    by_volume, by_height = 5 - bisect_right(_VOLUMES, volume_10k_m3), 5 - bisect_right(_HEIGHTS, height_m)
    higher = min(by_volume, by_height)
    found = higher + 1 if abs(by_volume - by_height) > 1 else higher
    return max(1, found - 1) if severe else found


def aggregate(levels: Iterable[Level | None]) -> Level | None:
    """What the levels of several points say of their item, or those of several items of the pond.

    GB 39496-2020 5.5.4: four blue count as one yellow, three yellow as one orange, two orange as one red. The standard
    says so of points (each step) and of items (the first step). Inferred: that the other steps hold of items too; that
    what is promoted counts together with the others of that level (three yellow by way of blue ones are an orange);
    that eight blue are two yellow; and that the result is never below the highest level of any.
    """
    counts = dict.fromkeys(Level, 0)
    for level in levels:
        if level is not None:
            counts[level] += 1
    for level, needed, above in _STEPS:
        counts[above] += counts[level] // needed
    return max((level for level, count in counts.items() if count), default=None)
