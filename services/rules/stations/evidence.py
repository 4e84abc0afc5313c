"""What a change of level is told with: the figures, the line, the votes, and the sentence a duty officer reads."""

from datetime import datetime, timedelta, timezone
from typing import Final

from services.rules.catalogue.model import StationRule, Votes
from services.rules.stations.plan import Judged, Plan
from services.rules.stations.table import Change
from services.rules.stations.votes import SiteVotes, shown
from tongluo.finding import Criterion, Evidence, Forecast, Level, Measure, Side, Used
from tongluo.hazards import Words
from tongluo.readings import moment
from tongluo.region import County

BEIJING: Final = timezone(timedelta(hours=8))
_UNITS_ZH: Final = {
    "mm": "毫米", "m": "米", "mm/h": "毫米/小时", "mm/d": "毫米/天", "mm/d2": "毫米/天²", "l/s": "升/秒", "kPa": "千帕", "deg": "度",
}  # fmt: skip


def evidence(
    plan: Plan,
    judged: Judged,
    county: County | None,
    change: Change,
    level: Level | None,
    time: datetime,
    votes: SiteVotes,
    forecast: Forecast | None = None,
) -> Evidence:
    """The evidence for a site's level, by the change of the station that decided it."""
    measures = _measures(plan, change)
    criterion = _criterion(plan, change) if level is not None else None
    deciding = next((m for m in measures if criterion is not None and m.indicator == criterion.indicator), None)
    name = county.stations[change.station].name if county and change.station in county.stations else change.station
    at = moment(change.time_us)
    return Evidence(
        rule=judged.rule.id,
        rule_version=judged.rule.version,
        station=change.station,
        time=time,
        sentence=sentence(name, at, judged, criterion, deciding, votes, level),
        figure=figure(deciding) if deciding is not None else Words("", ""),
        metric=plan.metric,
        source=judged.rule.source,
        measures=measures,
        criterion=criterion,
        used=Used(change.count, moment(min(change.first_us, change.time_us)), at) if change.count else None,
        votes=shown(votes),
        late=change.late,
        forecast=forecast,
    )


def _measures(plan: Plan, change: Change) -> tuple[Measure, ...]:
    """The indicators of the judged item that have a value."""
    return tuple(
        Measure(i.name, i.words, round(value, 6), i.unit, i.span.total_seconds() or None)
        for (of, i), value in zip(((g.judged, g.indicator) for g in plan.gauges), change.values, strict=False)
        if of == change.judged and value == value
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
    return f"{value:.1f}" if abs(value) >= 10 or value == 0 or float(f"{value:.1f}") == value else f"{value:.3g}"


def sentence(
    name: str,
    at: datetime,
    judged: Judged,
    criterion: Criterion | None,
    deciding: Measure | None,
    votes: SiteVotes,
    level: Level | None,
) -> Words:
    """What a duty officer reads."""
    local = at.astimezone(BEIJING)
    when_zh, when_en = f"{local.month}月{local.day}日 {local:%H:%M}", f"{local:%d %b %H:%M} Beijing time"
    item = judged.item.words
    if level is None or criterion is None or deciding is None:
        return Words(
            f"{name} 截至 {when_zh}，{item.zh}已回到解除线以内。",
            f"{name}: by {when_en} {item.en} was back within its release line.",
        )
    said = figure(deciding)
    unit, unit_zh = deciding.unit, _UNITS_ZH.get(deciding.unit, deciding.unit)
    side_zh, side_en = _crossed(criterion, deciding.value)
    zh = f"{name} 截至 {when_zh}，{said.zh}，{side_zh}{criterion.level.zh}色线 {amount(criterion.reach)} {unit_zh}".rstrip()
    en = f"{name}: {said.en} by {when_en}, {side_en} the {criterion.level.value} line of {amount(criterion.reach)} {unit}".rstrip()
    more_zh, more_en = _counted(judged.rule, votes, criterion.level, level)
    return Words(f"{zh}。{more_zh}", f"{en}.{more_en}")


def _crossed(criterion: Criterion, value: float) -> tuple[str, str]:
    above = criterion.side is Side.ABOVE
    if value >= criterion.reach if above else value <= criterion.reach:
        return ("达到", "at or above") if above else ("已低至", "at or below")
    if above:
        return "已低于但尚未降到解除线，保持", "below but not yet under the release line of"
    return "已高于但尚未升过解除线，保持", "above but not yet over the release line of"


def _counted(rule: StationRule, votes: SiteVotes, own: Level, level: Level) -> tuple[str, str]:
    """Where the site's level is not that of one station alone."""
    if rule.votes is Votes.HIGHEST or own is level:
        return "", ""
    number = sum(len(items) for items in votes.said.values())
    return (
        f"按{number}项测点合计判为{level.zh}色。",
        f" Counted over {number} measurements this makes {level.value}.",
    )


