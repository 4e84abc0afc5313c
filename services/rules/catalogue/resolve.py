"""What holds at a station: the rule's lines, the county's tables and the registry laid over each other.

For each indicator, level and state of the ground the first of these that says something holds: the station's own
thresholds in the registry; its rows in thresholds.csv; its site's rows there; the rule's own line. Within one place a row
for a state of the ground goes before one for all.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue, Item, LevelLine, Soil, StationRule, ThresholdRow
from tongluo.finding import Level, Side
from tongluo.region import Station

_NONE: Final = (math.nan, math.nan, math.nan)
BySoil = tuple[float, float, float]


class Reach(msgspec.Struct, frozen=True):
    """One line as it holds at a station: `indicator` on `side` of its reach means `level`.

    `by_soil` is the reach where the ground is dry, normal or wet, in the indicator's unit; NaN where there is none. The
    level is given up beyond `release(reach)`: `release_ratio` times the reach, or `release_by` away from it.
    """

    level: Level
    indicator: str
    side: Side
    by_soil: BySoil
    release_ratio: float
    release_by: float | None = None

    def release(self, reach: float) -> float:
        """The release line of a reach, on its safe side."""
        # A ratio of a negative reach would lead to the wrong side: its size is what counts.
        away = abs(reach * (1.0 - self.release_ratio)) if self.release_by is None else self.release_by
        return round(reach - away if self.side is Side.ABOVE else reach + away, 9)


def reaches(catalogue: Catalogue, rule: StationRule, item: Item, station: Station) -> tuple[Reach, ...]:
    """The lines of an item that hold at a station, by indicator and level; one without any reach is left out."""
    places = [
        [row for row in catalogue.thresholds.get(station.id, ()) if row.rule == rule.id and row.station],
        [
            row
            for row in catalogue.thresholds.get(station.site, ())
            if row.rule == rule.id and not row.station
        ],
    ]
    own = {(line.indicator, line.level): _own(catalogue, line, station, places) for line in item.lines}
    found = []
    for line in item.lines:
        by_soil = own[line.indicator, line.level]
        if line.share_of is not None:
            base = own.get((line.indicator, line.share_of[0]), _NONE)
            by_soil = _filled(by_soil, _times(base, line.share_of[1]))
        if not all(math.isnan(reach) for reach in by_soil):
            found.append(
                Reach(line.level, line.indicator, line.side, by_soil, line.release_ratio, line.release_by)
            )
    return tuple(found)


def parameter(catalogue: Catalogue, station: Station, name: str) -> float | None:
    """A parameter of a station, else of its site; None where parameters.csv has neither."""
    for place in (station.id, station.site):
        value = catalogue.parameters.get(place, {}).get(name)
        if value is not None:
            return value
    return None


def interpolated(curve: Sequence[tuple[float, float]], at: float) -> float:
    """Linear between the points of a curve, held at its ends."""
    after = bisect_right(curve, at, key=lambda point: point[0])
    if after == 0:
        return curve[0][1]
    if after == len(curve):
        return curve[-1][1]
    (left, low), (right, high) = curve[after - 1], curve[after]
    return low + (high - low) * (at - left) / (right - left)


def _own(
    catalogue: Catalogue, line: LevelLine, station: Station, places: Sequence[Sequence[ThresholdRow]]
) -> BySoil:
    """What is said of a line itself, in order of precedence; not as a share of another."""
    registered = station.thresholds.get(line.indicator, {}).get(line.level)
    if registered is not None:
        return (registered, registered, registered)
    found = _NONE
    for rows in filter(None, places):
        for layer in _layers(rows, line):
            found = _filled(found, layer)
    return _filled(found, _ruled(catalogue, line, station))


def _layers(rows: Sequence[ThresholdRow], line: LevelLine) -> Iterator[BySoil]:
    """The rows of one place: first what they say by state of the ground, then what they say for all."""
    said = {
        row.soil: row.reach[line.level]
        for row in rows
        if row.indicator == line.indicator and line.level in row.reach
    }
    dry, normal, wet = (said.get(soil, math.nan) for soil in Soil)
    yield (dry, normal, wet)
    always = said.get(None, math.nan)
    yield (always, always, always)


def _ruled(catalogue: Catalogue, line: LevelLine, station: Station) -> BySoil:
    """The rule's own line; NaN where it follows a parameter that the station and its site do not have."""
    if line.by_soil is not None:
        dry, normal, wet = (line.by_soil.get(soil, math.nan) for soil in Soil)
        return (dry, normal, wet)
    reach = math.nan if line.reach is None else line.reach
    if line.curve_of is not None:
        at = parameter(catalogue, station, line.curve_of)
        reach = math.nan if at is None else interpolated(line.curve, at)
    return (reach, reach, reach)


def _filled(upper: BySoil, lower: BySoil) -> BySoil:
    """`upper`, and where it says nothing `lower`."""
    dry, normal, wet = (
        below if math.isnan(above) else above for above, below in zip(upper, lower, strict=True)
    )
    return (dry, normal, wet)


def _times(by_soil: BySoil, factor: float) -> BySoil:
    dry, normal, wet = by_soil
    return (dry * factor, normal * factor, wet * factor)
