"""What the gravest alerts were raised of, read back from the history to be drawn."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import numpy as np

from services.rules.catalogue import parameter, reaches
from services.rules.catalogue.model import Catalogue, Item, StationRule
from services.rules.past import drawn
from services.rules.past.alerts import PastAlert
from services.rules.past.places import Told
from services.rules.past.study import Chart, Course, Curve
from services.rules_command.history import History
from tongluo.finding import Evidence, Level
from tongluo.reading import METRICS
from tongluo.readings import microseconds
from tongluo.region import Station

MOST_CHARTS: Final = 6
_AROUND: Final = timedelta(hours=12)
_LONGEST: Final = timedelta(days=10)


def charts(history: History, told: Told, course: Course) -> Iterator[Chart]:
    """The gravest alerts, the earliest first among equals; those that no single series decided are left out."""
    names = {station: name for name, station in told.ids.items()}
    number = 0
    for alert in sorted(course.alerts, key=lambda one: (-one.peak.rank, one.onset, one.id)):
        evidence = alert.at_peak.evidence
        station = told.county.stations.get(evidence.station)
        if station is None or evidence.station not in names or evidence.criterion is None:
            continue
        chart = _chart(history, names[station.id], station, course.catalogue, alert)
        if chart is not None:
            yield chart
            number += 1
        if number == MOST_CHARTS:
            return


def _chart(
    history: History, name: str, station: Station, catalogue: Catalogue, alert: PastAlert
) -> Chart | None:
    evidence = alert.at_peak.evidence
    found = _item(catalogue, evidence)
    criterion = evidence.criterion
    if found is None or criterion is None:
        return None
    rule, item = found
    back = drawn.longest(item, criterion.indicator)
    begin = max(alert.onset - _AROUND, alert.at_peak.time - _LONGEST)
    end = min((alert.ended or alert.steps[-1].time) + _AROUND, begin + 2 * _LONGEST)
    times, values = history.window(name, evidence.metric, microseconds(begin - back), microseconds(end))
    shown = times > microseconds(begin)
    if int(shown.sum()) < 2:
        return None
    curve = drawn.curve(item, criterion.indicator, times, values, _parameters(catalogue, item, station))
    metric = METRICS[evidence.metric]
    indicator = next(one for one in item.indicators if one.name == criterion.indicator)
    lines = {
        one.level: one.by_soil[1]
        for one in reaches(catalogue, rule, item, station)
        if one.indicator == indicator.name
    }
    # By the ground as it was then.
    lines |= {criterion.level: criterion.reach}
    return Chart(
        alert,
        station.id,
        evidence.metric,
        indicator.unit if curve is not None else metric.unit,
        indicator.words if curve is not None else item.words,
        Curve(times[shown].tolist(), values[shown].tolist()),
        Curve(times[shown].tolist(), curve[shown].tolist()) if curve is not None else None,
        _finite(lines) if curve is not None else {},
    )


def _item(catalogue: Catalogue, evidence: Evidence) -> tuple[StationRule, Item] | None:
    rule = catalogue.rule(evidence.rule)
    if not isinstance(rule, StationRule) or evidence.criterion is None:
        return None
    for item in rule.items:
        if item.metric == evidence.metric and any(
            one.name == evidence.criterion.indicator for one in item.indicators
        ):
            return rule, item
    return None


def _parameters(catalogue: Catalogue, item: Item, station: Station) -> dict[str, float]:
    named = {one.divide_by for one in item.indicators if one.divide_by is not None}
    found = {name: parameter(catalogue, station, name) for name in named}
    return {name: value for name, value in found.items() if value is not None}


def _finite(lines: dict[Level, float]) -> dict[Level, float]:
    return {level: reach for level, reach in sorted(lines.items()) if np.isfinite(reach)}
