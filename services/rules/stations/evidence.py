"""What a change of level is told with: the figures, the line, the votes, and the sentence a duty officer reads."""

import functools
import math
from datetime import datetime, timedelta, timezone
from typing import Final

import msgspec

from services.rules.catalogue.model import Votes
from services.rules.stations.plan import Judged, Plan
from services.rules.stations.table import Change
from services.rules.stations.votes import SiteVotes, shown
from tongluo.finding import Criterion, Evidence, Forecast, Level, Measure, Side, Used
from tongluo.hazards import Words
from tongluo.readings import moment
from tongluo.region import County

_MINUTE_US: Final = 60_000_000
BEIJING: Final = timezone(timedelta(hours=8))
_UNITS_ZH: Final = {
    "mm": "毫米", "m": "米", "mm/h": "毫米/小时", "mm/d": "毫米/天", "mm/d2": "毫米/天²", "l/s": "升/秒", "kPa": "千帕", "deg": "度",
}  # fmt: skip


class Case(msgspec.Struct, frozen=True, gc=False):
    """What is to be told: a site's level from `time` on, the votes that make it, the change of the station that decided."""

    plan: Plan
    change: Change
    level: Level | None
    time: datetime
    votes: SiteVotes

    @property
    def judged(self) -> Judged:
        """The item that the change is of."""
        return self.plan.judged[self.change.judged]


def evidence(case: Case, county: County | None, forecast: Forecast | None = None) -> Evidence:
    """The evidence for a site's level."""
    change, rule = case.change, case.judged.rule
    measures = _measures(case.plan, change)
    criterion = _criterion(case.plan, change) if case.level is not None else None
    deciding = next(
        (m for m in measures if criterion is not None and m.indicator == criterion.indicator), None
    )
    known = county.stations.get(change.station) if county is not None else None
    at = moment(change.time_us)
    return Evidence(
        rule=rule.id,
        rule_version=rule.version,
        station=change.station,
        time=case.time,
        sentence=sentence(case, known.name if known is not None else change.station, criterion, deciding),
        figure=figure(deciding) if deciding is not None else Words("", ""),
        metric=case.plan.metric,
        source=rule.source,
        measures=measures,
        criterion=criterion,
        used=Used(change.count, moment(min(change.first_us, change.time_us)), at) if change.count else None,
        votes=shown(case.votes),
        late=change.late,
        forecast=forecast,
    )


def _measures(plan: Plan, change: Change) -> tuple[Measure, ...]:
    """The indicators of the judged item that have a value."""
    return tuple(
        Measure(i.name, i.words, round(value, 6), i.unit, i.span.total_seconds() or None)
        for (of, i), value in zip(((g.judged, g.indicator) for g in plan.gauges), change.values, strict=False)
        if of == change.judged and not math.isnan(value)
    )


def _criterion(plan: Plan, change: Change) -> Criterion | None:
    if change.line < 0:
        return None
    line = plan.lines[change.line]
    indicator = plan.gauges[line.gauge].indicator
    return Criterion(line.level, indicator.name, change.reach, round(change.release, 6), line.side)


def figure(measure: Measure) -> Words:
    """A figure for a headline: `3小时雨量 52.1 毫米`, `3 h rain 52.1 mm`."""
    zh, en = measure.name.zh, measure.name.en
    unit = f" {measure.unit}" if measure.unit else ""
    unit_zh = f" {_UNITS_ZH.get(measure.unit, measure.unit)}" if measure.unit else ""
    value = amount(measure.value)
    return Words(f"{zh} {value}{unit_zh}", f"{en} {value}{unit}")


def amount(value: float) -> str:
    """One decimal, more where the number is small."""
    return (
        f"{value:.1f}" if abs(value) >= 10 or value == 0 or float(f"{value:.1f}") == value else f"{value:.3g}"
    )


@functools.lru_cache(maxsize=4096)
def _when(minute: int) -> Words:
    """A minute since 1970, as it is said; in a storm thousands of sites say the same few."""
    local = moment(minute * _MINUTE_US).astimezone(BEIJING)
    return Words(f"{local.month}月{local.day}日 {local:%H:%M}", f"{local:%d %b %H:%M} Beijing time")


def sentence(case: Case, name: str, criterion: Criterion | None, deciding: Measure | None) -> Words:
    """What a duty officer reads."""
    when = _when(case.change.time_us // _MINUTE_US)
    item, level = case.judged.item.words, case.level
    if level is None or criterion is None or deciding is None:
        return Words(
            f"{name} 截至 {when.zh}，{item.zh}已回到解除线以内。",
            f"{name}: by {when.en} {item.en} was back within its release line.",
        )
    said = figure(deciding)
    unit = f" {deciding.unit}" if deciding.unit else ""
    unit_zh = f" {_UNITS_ZH.get(deciding.unit, deciding.unit)}" if deciding.unit else ""
    side_zh, side_en = _crossed(criterion, deciding.value)
    line = amount(criterion.reach)
    more = _counted(case, criterion.level)
    return Words(
        f"{name} 截至 {when.zh}，{said.zh}，{side_zh}{criterion.level.zh}色线 {line}{unit_zh}。{more.zh}",
        f"{name}: {said.en} by {when.en}, {side_en} the {criterion.level.value} line of {line}{unit}.{more.en}",
    )


def _crossed(criterion: Criterion, value: float) -> tuple[str, str]:
    above = criterion.side is Side.ABOVE
    if value >= criterion.reach if above else value <= criterion.reach:
        return ("达到", "at or above") if above else ("已低至", "at or below")
    if above:
        return "已低于但尚未降到解除线，保持", "below but not yet under the release line of"
    return "已高于但尚未升过解除线，保持", "above but not yet over the release line of"


def _counted(case: Case, own: Level) -> Words:
    """Where the site's level is not that of one station alone."""
    if case.level is None or case.judged.rule.votes is Votes.HIGHEST or own is case.level:
        return Words("", "")
    number = sum(len(items) for items in case.votes.said.values())
    return Words(
        f"按 {number} 项监测合计判为{case.level.zh}色。",
        f" Counted over {number} measurements this makes {case.level.value}.",
    )
