"""From an indicator as it is written to the model: which function, over which span, in which unit, called what."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import UNSET

from services.rules.catalogue.faults import Page, nearest
from services.rules.catalogue.lines import Path
from services.rules.catalogue.model import EventCurve, Function, Indicator
from services.rules.catalogue.shape import Event, IndicatorWritten, ItemWritten
from tongluo import duration
from tongluo.hazards import Words
from tongluo.reading import METRICS, Metric

#: A longer memory of every station is no rule's business.
LONGEST: Final = timedelta(days=366)
_WAYS: Final = (*(function.value for function in Function), "weights")

# What an indicator is called that has no name of its own; {} is the span and the metric.
_CALLED: Final[Mapping[Function, tuple[str, str]]] = {
    Function.LAST: ("{metric}", "{metric}"),
    Function.SUM: ("{span}{metric}", "{metric} in {span}"),
    Function.MAX: ("{span}最大{metric}", "highest {metric} in {span}"),
    Function.MEAN: ("{span}平均{metric}", "mean {metric} over {span}"),
    Function.COUNT: ("{span}{metric}次数", "readings of {metric} in {span}"),
    Function.CHANGE: ("{span}{metric}变化", "change of {metric} in {span}"),
    Function.RATE: ("{span}{metric}变化率", "rate of {metric} over {span}"),
    Function.SLOPE: ("{span}{metric}速率", "trend of {metric} over {span}"),
    Function.ACCELERATION: ("{span}{metric}加速度", "acceleration of {metric} over {span}"),
    Function.SINCE: ("距上次{metric}", "time since {metric}"),
    Function.EVENT: ("本场{metric}与阈值之比", "{metric} of the event by its threshold"),
}
_SPANS_ZH: Final = {"s": "秒", "m": "分钟", "h": "小时", "d": "天"}
_SPANS_EN: Final = {"s": "s", "m": "min", "h": "h", "d": "d"}


def span_of(page: Page, path: Path, words: str, most: timedelta = LONGEST) -> timedelta:
    """A duration in a file; what is not one has been told already."""
    try:
        span = duration.parse(words)
    except ValueError:
        return timedelta(0)
    if span > most:
        page.fault(
            path, f"{words} 过长，至多 {most.days} 天", f"{words} is too long: at most {most.days} days"
        )
    return span


def indicators(page: Page, item: ItemWritten, path: Path) -> tuple[Indicator, ...]:
    """An item's indicators, in the order of the file."""
    found = []
    for name, written in item.indicators.items():
        one = IndicatorWritten(last=True) if written == "last" else written
        found.append(_indicator(page, item, name, one, (*path, "indicators", name)))
    return tuple(found)


def _indicator(page: Page, item: ItemWritten, name: str, written: IndicatorWritten, path: Path) -> Indicator:
    metric = METRICS.get(item.metric, Metric("", item.metric, item.metric, 0.0, 0.0))
    way = _way(page, written, path)
    function = Function.SUM if way == "weights" else Function(way)
    said = getattr(written, way)
    span = span_of(page, (*path, way), said) if isinstance(said, str) else timedelta(0)
    if isinstance(said, str) and span == timedelta(0):
        page.fault((*path, way), "时段须大于 0", "needs a span above 0")
    _coherent(page, item, written, path)
    called = _called(function, metric, said) if way != "weights" else _called(Function.SUM, metric, "")
    return Indicator(
        name=name,
        words=called if written.name is UNSET else Words(written.name.zh, written.name.en),
        unit=_unit(page, function, metric, written, path),
        function=function,
        span=span,
        scale=written.scale,
        divide_by=None if written.divide_by is UNSET else written.divide_by,
        angle=written.angle,
        weights=None if written.weights is UNSET else dict(written.weights),
        curve=None if written.event is UNSET else _curve(page, written.event, (*path, "event")),
    )


def _way(page: Page, written: IndicatorWritten, path: Path) -> str:
    """By which of its keys an indicator is made; exactly one may be there."""
    ways = [way for way in _WAYS if getattr(written, way) is not UNSET and getattr(written, way) is not False]
    if len(ways) != 1:
        listed = ", ".join(_WAYS)
        page.fault(path, f"须且只能写 {listed} 之一", f"needs exactly one of {listed}")
    return ways[0] if ways else "last"


def _coherent(page: Page, item: ItemWritten, written: IndicatorWritten, path: Path) -> None:
    if written.angle and written.divide_by is UNSET:
        page.fault((*path, "angle"), "切线角需要 divide_by", "an angle needs divide_by")
    if written.scale == 0.0:
        page.fault((*path, "scale"), "不能为 0", "must not be 0")
    if written.event is not UNSET and item.metric in METRICS and item.metric != "rain":
        page.fault((*path, "event"), "只用于雨量", "is for rain only")
    for other in written.weights or {}:
        known = [name for name, each in item.indicators.items() if each != "last" and each.sum is not UNSET]
        if other not in known:
            near = nearest(other, known)
            page.fault(
                (*path, "weights", other),
                f"须是本监测项的累计指标{near[0]}",
                f"must be a sum among the item's indicators{near[1]}",
            )


def _called(function: Function, metric: Metric, said: object) -> Words:
    span = said if isinstance(said, str) and said else ""
    zh, en = _CALLED[function]
    of_span = (
        (f"{span[:-1]} {_SPANS_ZH[span[-1]]}", f"{span[:-1]} {_SPANS_EN[span[-1]]}") if span else ("", "")
    )
    return Words(
        zh.format(span=of_span[0], metric=metric.zh), en.format(span=of_span[1], metric=metric.en.lower())
    )


def _unit(page: Page, function: Function, metric: Metric, written: IndicatorWritten, path: Path) -> str:
    """The unit that follows from the function, unless a scale or a divisor has made another of it."""
    if written.unit is not UNSET:
        return written.unit
    if written.angle:
        return "°"
    if written.divide_by is not UNSET:
        return ""
    if abs(written.scale) != 1.0:
        page.fault(path, "有 scale，须写明 unit", "with a scale, say the unit")
    per = {
        Function.RATE: f"{metric.unit}/h",
        Function.SLOPE: f"{metric.unit}/h",
        Function.ACCELERATION: f"{metric.unit}/h²",
        Function.SINCE: "h",
        Function.COUNT: "",
        Function.EVENT: "",
    }
    return per.get(function, metric.unit)


def _curve(page: Page, written: Event, path: Path) -> EventCurve:
    spans = {
        name: span_of(page, (*path, name), getattr(written, name)) for name in ("dry", "shortest", "longest")
    }
    if not timedelta(0) < spans["shortest"] < spans["longest"]:
        page.fault((*path, "shortest"), "须大于 0 且小于 longest", "must be above 0 and below longest")
    if spans["dry"] == timedelta(0):
        page.fault((*path, "dry"), "须大于 0", "must be above 0")
    return EventCurve(written.a, written.b, written.c, **spans)
