"""From a catalogue to what the kernels take: for each metric the indicators and lines of all items, numbered.

A metric is judged by one of two kernels: rolling sums (every indicator a SUM, a weighted sum or a rain EVENT) or windows
over values. Thresholds differ from station to station; stations with the same ones share a profile.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

import msgspec
import numpy as np

from services.rules.catalogue.model import (
    Catalogue,
    Function,
    Indicator,
    Item,
    LevelLine,
    SoilModel,
    StationRule,
)
from services.rules.catalogue.resolve import Reach, parameter, reaches
from services.rules.stations import state, values
from tongluo.duration import microseconds
from tongluo.finding import Level, Side
from tongluo.region import County, Site, Station

UNITS_PER_MM: Final = 1000
# Chinese counties keep one time; hydrological days begin by it.
LOCAL: Final = timedelta(hours=8)
# A slope accelerates over weeks.
FORECAST_SPAN: Final = timedelta(days=60)
_ADDITIVE: Final = frozenset({Function.SUM, Function.EVENT})
_FUNCTIONS: Final = {
    Function.LAST: values.LAST,
    Function.SUM: values.SUM,
    Function.MAX: values.MAX,
    Function.MEAN: values.MEAN,
    Function.COUNT: values.COUNT_OF,
    Function.CHANGE: values.CHANGE,
    Function.RATE: values.RATE,
    Function.SLOPE: values.SLOPE,
    Function.ACCELERATION: values.ACCELERATION,
    Function.SINCE: values.SINCE,
}


class Judged(msgspec.Struct, frozen=True):
    """An item of a rule, as the kernels number them."""

    rule: StationRule
    item: Item


class Gauge(msgspec.Struct, frozen=True):
    """An indicator of a judged item. `per_unit`: how many of the kernel's units make one of the indicator's."""

    judged: int
    indicator: Indicator
    per_unit: float


class Line(msgspec.Struct, frozen=True):
    """A level that an indicator can reach at one station or another."""

    judged: int
    gauge: int
    level: Level
    side: Side


class Plan(msgspec.Struct, frozen=True):
    """All that is asked of one metric."""

    metric: str
    summed: bool
    judged: tuple[Judged, ...]
    gauges: tuple[Gauge, ...]
    lines: tuple[Line, ...]
    lateness: timedelta
    parameters: tuple[str, ...]


def plans(catalogue: Catalogue, county: County | None) -> dict[str, Plan]:
    """By metric. Lines that no table and no station of the county draws are left out."""
    drawn = _Drawn(catalogue, county)
    items: dict[str, list[Judged]] = {}
    for rule in catalogue.station_rules:
        for item in rule.items:
            items.setdefault(item.metric, []).append(Judged(rule, item))
    return {metric: _plan(metric, judged, drawn) for metric, judged in items.items()}


class _Drawn:
    """Which lines are drawn anywhere."""

    def __init__(self, catalogue: Catalogue, county: County | None) -> None:
        self._by_tables = {
            (row.rule, row.indicator, level)
            for rows in catalogue.thresholds.values()
            for row in rows
            for level in row.reach
        }
        stations = county.stations.values() if county is not None else ()
        self._registered = {
            (indicator, level)
            for one in stations
            for indicator, levels in one.thresholds.items()
            for level in levels
        }

    def __call__(self, rule: str, line: LevelLine) -> bool:
        own = line.reach is not None or line.by_soil is not None or line.curve_of or line.share_of is not None
        return bool(
            own
            or (rule, line.indicator, line.level) in self._by_tables
            or (line.indicator, line.level) in self._registered
        )


def summed(item: Item) -> bool:
    """Whether an item is one for rolling sums."""
    return all(one.weights is not None or one.function in _ADDITIVE for one in item.indicators)


def _plan(metric: str, judged: list[Judged], drawn: _Drawn) -> Plan:
    additive = all(summed(one.item) for one in judged)
    gauges = tuple(
        Gauge(nth, indicator, _per_unit(indicator, additive))
        for nth, one in enumerate(judged)
        for indicator in one.item.indicators
    )
    place = {(gauge.judged, gauge.indicator.name): nth for nth, gauge in enumerate(gauges)}
    lines = tuple(
        Line(nth, place[nth, line.indicator], line.level, line.side)
        for nth, one in enumerate(judged)
        for line in one.item.lines
        if drawn(one.rule.id, line)
    )
    return Plan(
        metric,
        additive,
        tuple(judged),
        gauges,
        lines,
        max(one.rule.late_allowed for one in judged),
        tuple(sorted({g.indicator.divide_by for g in gauges if g.indicator.divide_by is not None})),
    )


def _per_unit(indicator: Indicator, additive: bool) -> float:
    if additive and (indicator.weights is not None or indicator.function is Function.SUM):
        return UNITS_PER_MM / indicator.scale
    return 1.0


def profile(
    plan: Plan, catalogue: Catalogue, station: Station, site: Site | None
) -> tuple[tuple[float, ...], ...]:
    """What each line is at a station, in the kernel's units: reach when dry, normal, wet, then release likewise.

    NaN where a line is not drawn there: it is never reached. None is for a site that is not registered, which every rule
    judges.
    """
    found = {
        (nth, reach.indicator, reach.level): reach
        for nth, judged in enumerate(plan.judged)
        if site is None or judged.rule.judges(site)
        for reach in reaches(catalogue, judged.rule, judged.item, station)
    }
    return tuple(_drawn(plan, line, found) for line in plan.lines)


def alike(plan: Plan, catalogue: Catalogue, station: Station, site: Site | None) -> tuple[bool, ...] | None:
    """Stations for which this is the same have the same lines; None for one of which any table says something."""
    tables = (catalogue.thresholds, catalogue.parameters)
    if station.thresholds or any(place in table for table in tables for place in (station.id, station.site)):
        return None
    return tuple(site is None or judged.rule.judges(site) for judged in plan.judged)


def _drawn(plan: Plan, line: Line, found: Mapping[tuple[int, str, Level], Reach]) -> tuple[float, ...]:
    gauge = plan.gauges[line.gauge]
    reach = found.get((line.judged, gauge.indicator.name, line.level))
    if reach is None:
        return (float("nan"),) * 6
    both = (*reach.by_soil, *(reach.release(one) for one in reach.by_soil))
    return tuple(_units(one, gauge.per_unit) for one in both)


def _units(amount: float, per_unit: float) -> float:
    """In the kernel's units; whole where those are thousandths, so that a threshold is met exactly."""
    return amount if per_unit == 1.0 or math.isnan(amount) else float(round(amount * per_unit))


def parameters(plan: Plan, catalogue: Catalogue, station: Station) -> tuple[float, ...]:
    """The station's parameters that indicators are divided by; NaN where it has none."""
    found = (parameter(catalogue, station, name) for name in plan.parameters)
    return tuple(float("nan") if one is None else one for one in found)


def sum_layout(plan: Plan) -> state.Layout:
    """For the kernel of rolling sums."""
    spans = sorted({g.indicator.span for g in plan.gauges if g.indicator.function is Function.SUM
                    and g.indicator.weights is None})  # fmt: skip
    events = [g.indicator.curve for g in plan.gauges if g.indicator.curve is not None]
    soils = soil_models(plan)
    words = np.cumsum([state.FIXED, 3 * len(spans), 3 * len(events), 3 * len(soils), len(plan.lines)])
    kinds, windows, weights = _indicators(plan, spans)
    return state.Layout(
        lateness=microseconds(plan.lateness),
        span=_ints(microseconds(span) for span in spans),
        kind=_ints(kinds),
        window=_ints(windows),
        weight=np.array(weights, float).reshape(len(plan.gauges), len(spans)),
        curve=np.array(
            [[e.a, e.b, e.c, e.shortest / timedelta(hours=1), e.longest / timedelta(hours=1)] for e in events]
        ).reshape(len(events), 5),
        dry=_ints(microseconds(e.dry) for e in events),
        soil=np.array(
            [
                [m.k, *(m.capacity_mm * share * UNITS_PER_MM for share in (1.0, m.normal_from, m.wet_from))]
                for m in soils
            ]
        ).reshape(len(soils), 4),
        day_starts=_ints(microseconds(m.day_starts - LOCAL) for m in soils),
        indicator=_ints(line.gauge for line in plan.lines),
        rule=_ints(line.judged for line in plan.lines),
        level=_ints(line.level.rank for line in plan.lines),
        after=_ints(microseconds(plan.judged[line.judged].item.release_after) for line in plan.lines),
        soil_of=_ints(_soil_of(plan, line, soils) for line in plan.lines),
        rules=len(plan.judged),
        at=words.astype(np.int64),
    )


def soil_models(plan: Plan) -> list[SoilModel]:
    """Each once."""
    return list(dict.fromkeys(one.item.soil for one in plan.judged if one.item.soil is not None))


def _soil_of(plan: Plan, line: Line, soils: list[SoilModel]) -> int:
    model = plan.judged[line.judged].item.soil
    return soils.index(model) if model is not None else -1


def _indicators(plan: Plan, spans: list[timedelta]) -> tuple[list[int], list[int], list[list[float]]]:
    kinds: list[int] = []
    windows: list[int] = []
    weights: list[list[float]] = []
    events = 0
    for gauge in plan.gauges:
        one, row = gauge.indicator, [0.0] * len(spans)
        if one.weights is not None:
            kinds.append(state.WEIGHTED)
            windows.append(-1)
            of = {i.name: i.span for i in plan.judged[gauge.judged].item.indicators}
            for name, weight in one.weights.items():
                row[spans.index(of[name])] += weight
        elif one.function is Function.EVENT:
            kinds.append(state.EVENT)
            windows.append(events)
            events += 1
        else:
            kinds.append(state.WINDOW)
            windows.append(spans.index(one.span))
        weights.append(row)
    return kinds, windows, weights


def value_layout(plan: Plan) -> values.Layout:
    """For the kernel of windows over values."""
    indicators = [gauge.indicator for gauge in plan.gauges]
    confirm = [plan.judged[line.judged].item.confirm for line in plan.lines]
    return values.Layout(
        lateness=microseconds(plan.lateness),
        longest=max(microseconds(span) for span in _remembered(plan)),
        function=_ints(_FUNCTIONS[i.function] for i in indicators),
        span=_ints(microseconds(i.span) for i in indicators),
        scale=np.array([i.scale for i in indicators], float),
        divide=_ints(plan.parameters.index(i.divide_by) if i.divide_by else -1 for i in indicators),
        angle=_ints(int(i.angle) for i in indicators),
        indicator=_ints(line.gauge for line in plan.lines),
        rule=_ints(line.judged for line in plan.lines),
        level=_ints(line.level.rank for line in plan.lines),
        side=np.array([1.0 if line.side is Side.ABOVE else -1.0 for line in plan.lines]),
        after=_ints(microseconds(plan.judged[line.judged].item.release_after) for line in plan.lines),
        hold=_ints(microseconds(one.hold) for one in confirm),
        n=_ints(one.n for one in confirm),
        m=_ints(one.m for one in confirm),
        rules=len(plan.judged),
    )


def _remembered(plan: Plan) -> Iterator[timedelta]:
    """How far back each indicator looks, and a forecast of failure."""
    yield from (gauge.indicator.span for gauge in plan.gauges)
    yield FORECAST_SPAN if any(one.item.forecast for one in plan.judged) else timedelta(0)


def _ints(numbers: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.fromiter(numbers, np.int64)
