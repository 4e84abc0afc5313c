"""Plots as SVG text: no script, no style of their own, colours as attributes. Pure."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from services.rules.past.alerts import PastAlert, Step
from services.rules.past.skill import Share, Skill
from services.rules.past.study import Chart, Curve
from services.rules.past.truth import TrueEvent
from tongluo.finding import Level, rank
from tongluo.readings import microseconds, moment

WIDTH: Final = 1000
COLOURS: Final = {
    Level.BLUE: "#2f6fde",
    Level.YELLOW: "#f2c200",
    Level.ORANGE: "#f07d00",
    Level.RED: "#d7263d",
}
_INK, _SOFT, _GRID = "#1d2433", "#667085", "#e4e7ec"
_EVENT: Final = "#111111"
#: As many points as a screen shows.
_MOST_POINTS: Final = 1500


class Axis:
    """Time along the width of a plot, with the ticks of a zone's clock."""

    def __init__(self, begin: datetime, end: datetime, left: float, right: float, zone: ZoneInfo) -> None:
        self.begin, self.end = begin, max(end, begin + timedelta(minutes=1))
        self.left, self.right = left, right
        self._zone = zone

    def x(self, time: datetime) -> float:
        share = (time - self.begin) / (self.end - self.begin)
        return self.left + (self.right - self.left) * min(1.0, max(0.0, share))

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Where round times stand, and what they are called."""
        span = self.end - self.begin
        step = next(
            (one for one in _STEPS if span / one <= 9), timedelta(days=365 * math.ceil(span.days / 365 / 9))
        )
        local = self.begin.astimezone(self._zone).replace(tzinfo=None)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        for time in _round_times(midnight, local + span, step):
            if time >= local:
                moment = time.replace(tzinfo=self._zone).astimezone(UTC)
                yield self.x(moment), f"{time:{_format(step, span)}}"


_STEPS: Final = tuple(
    timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 730, 1461, 2192, 4383)
)
_MONTH: Final = timedelta(hours=730)


def _round_times(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    if step < _MONTH:
        time = first
        while time <= last:
            yield time
            time += step
        return
    months = max(1, round(step / _MONTH))
    count = first.year * 12 + (first.month - 1) // months * months
    while (time := datetime(count // 12, count % 12 + 1, 1)) <= last:  # noqa: DTZ001 - a zone's own clock
        yield time
        count += months


def _format(step: timedelta, span: timedelta) -> str:
    if step < timedelta(days=1):
        return "%H:%M" if span < timedelta(hours=20) else "%m-%d %H:%M"
    return "%Y-%m-%d" if step < _MONTH else "%Y-%m"


class Lane:
    """One line of a timeline: a site's alerts of one hazard, by both sets of rules, and its events."""

    def __init__(
        self,
        name: str,
        new: Sequence[PastAlert],
        old: Sequence[PastAlert] | None,
        events: Sequence[TrueEvent],
    ) -> None:
        self.name, self.new, self.old, self.events = name, new, old, events


def timeline(lanes: Sequence[Lane], begin: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Sites below each other: bands by level (the old rules' in a narrow one below), events as diamonds above."""
    two = any(lane.old is not None for lane in lanes)
    height = 42 if two else 32
    axis = Axis(begin, end, 230, WIDTH - 20, zone)
    bottom = 8 + height * len(lanes)
    parts = list(_time_grid(axis, 4, bottom))
    for nth, lane in enumerate(lanes):
        top = 8 + nth * height
        parts.append(_text(222, top + 21, _short(lane.name, 26), anchor="end", size=13))
        parts.append(
            f'<line x1="{axis.left}" x2="{axis.right}" y1="{top + height - 2}" y2="{top + height - 2}" stroke="{_GRID}"/>'
        )
        parts += [_event(axis, event, top, height - 4) for event in lane.events]
        parts += _bands(axis, lane.new, top + 10, 13)
        if lane.old is not None:
            parts += _bands(axis, lane.old, top + 26, 7)
    return _svg(bottom + 26, parts)


def series(chart: Chart, events: Sequence[TrueEvent], zone: ZoneInfo) -> str:
    """Readings, the deciding indicator with its lines, and the alert's levels as a band along the foot."""
    times = chart.readings.times_us
    begin, end = moment(times[0]), moment(times[-1])
    axis = Axis(begin, end, 62, WIDTH - 90, zone)
    top, bottom = 14, 230
    main = chart.indicator if chart.indicator is not None else chart.readings
    finite = [value for value in main.values if math.isfinite(value)]
    low, high = _range([*finite, *chart.lines.values()])

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    parts = list(_time_grid(axis, top, bottom + 22))
    for value in _ticks(low, high):
        parts.append(
            f'<line x1="{axis.left}" x2="{axis.right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{_GRID}"/>'
        )
        parts.append(_text(axis.left - 6, y(value) + 4, f"{value:g}", anchor="end"))
    parts.append(_bars(axis, chart, low, y))
    for level, reach in chart.lines.items():
        colour = COLOURS[level]
        parts.append(
            f'<path d="M{axis.left} {y(reach):.1f}H{axis.right}" stroke="{colour}" stroke-width="1.6" stroke-dasharray="7 4"/>'
        )
        parts.append(_text(axis.right + 6, y(reach) + 4, f"{level.zh} {reach:g}", colour=_INK))
    if chart.indicator is not None or chart.metric != "rain":
        parts.append(_curve(axis, main, y))
    parts += _bands(axis, [chart.alert], bottom + 6, 12)
    shown = [one for one in events if one.start <= axis.end and one.end >= axis.begin]
    parts += [_event(axis, event, top, bottom - top + 18) for event in shown]
    return _svg(bottom + 46, parts)


def shares(rows: Sequence[tuple[str, Share, Share | None]]) -> str:
    """Shares as bars with their 95 % intervals: the new rules' dark, the old rules' light below."""
    left, right = 250, WIDTH - 170
    step = 46 if any(old is not None for _, _, old in rows) else 30
    bottom = 10 + step * len(rows)
    parts = []
    for nth in range(6):
        x = left + (right - left) * nth / 5
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(x, bottom + 16, f"{20 * nth} %", anchor="middle"))
    for nth, (name, new, old) in enumerate(rows):
        top = 10 + nth * step
        parts.append(_text(left - 10, top + 14, name, anchor="end", size=13))
        parts += _bar(new, top, 16, "#344054", left, right)
        if old is not None:
            parts += _bar(old, top + 20, 12, "#aeb6c4", left, right)
    return _svg(bottom + 26, parts)


def lead_times(found: Skill) -> str:
    """How long before its event each alert began: bars by whole hours (or more), late ones in another colour."""
    hours = [lead / 3600 for lead in found.leads_s]
    low, high = math.floor(min([0.0, *hours])), math.floor(max([0.0, *hours])) + 1
    wide = max(1, math.ceil((high - low) / 24))
    first = math.floor(low / wide) * wide
    # A few hours more than there are: one bar alone would fill the plot.
    edges = list(range(first, max(high, first + 12 * wide) + wide, wide))
    counts = np.histogram(hours, edges)[0].tolist()
    left, right, top, bottom, most = 60, WIDTH - 20, 22, 150, max(1, *counts)
    step = (right - left) / len(counts)
    parts = []
    for nth, count in enumerate(counts):
        height = (bottom - top) * count / most
        x, colour = left + nth * step, "#b42318" if edges[nth] < 0 else "#1f7a4d"
        parts.append(_text(x, bottom + 16, f"{edges[nth]} h", anchor="middle"))
        if count:
            parts.append(
                f'<rect x="{x + 2:.1f}" y="{bottom - height:.1f}" width="{step - 4:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
            parts.append(_text(x + step / 2, bottom - height - 5, str(count), anchor="middle", colour=_INK))
    parts.append(f'<line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="{_INK}"/>')
    return _svg(bottom + 26, parts)


def _time_grid(axis: Axis, top: float, bottom: float) -> Iterator[str]:
    for x, words in axis.ticks():
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{_GRID}"/>'
        yield _text(x, bottom + 15, words, anchor="middle" if x < axis.right - 30 else "end")


def _bands(axis: Axis, alerts: Iterable[PastAlert], top: float, height: float) -> Iterator[str]:
    """An alert's levels as coloured bands, however short wide enough to be seen; the gravest on top."""
    bands = [
        (rank(step.level), _band(axis, step, after, (top, height)))
        for alert in alerts
        for step, after in zip(alert.steps, (*alert.steps[1:], None), strict=True)
        if step.level is not None
    ]
    return (band for _, band in sorted(bands, key=lambda one: one[0]))


def _band(axis: Axis, step: Step, after: Step | None, place: tuple[float, float]) -> str:
    begin, end = axis.x(step.time), axis.x(after.time) if after is not None else axis.right
    level = step.level or Level.BLUE
    words = f"{step.time:%Y-%m-%d %H:%M}Z {level.zh} {level.value}"
    return (
        f'<rect x="{begin:.1f}" y="{place[0]}" width="{max(2.5, end - begin):.1f}" height="{place[1]}" '
        f'fill="{COLOURS[level]}"><title>{words}</title></rect>'
    )


def _event(axis: Axis, event: TrueEvent, top: float, height: float) -> str:
    x, until = axis.x(event.start), axis.x(event.end)
    words = escape(f"{event.start:%Y-%m-%d %H:%M}Z {event.place} {event.hazard or ''} {event.kind}".strip())
    span = (
        f'<rect x="{x:.1f}" y="{top + 4}" width="{until - x:.1f}" height="4" fill="{_EVENT}"/>'
        if until > x
        else ""
    )
    return (
        f'<g><title>{words}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 2}" y2="{top + height}" stroke="{_EVENT}" '
        f'stroke-dasharray="2 2"/>{span}<path d="M{x:.1f} {top - 1}l5 6l-5 6l-5 -6z" fill="{_EVENT}"/></g>'
    )


def _curve(axis: Axis, curve: Curve, y: Callable[[float], float]) -> str:
    times, values = thinned(curve)
    begin_us, span = microseconds(axis.begin), (axis.end - axis.begin) / timedelta(microseconds=1)
    points: list[str] = []
    pen = "M"
    for time, value in zip(times, values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        points.append(
            f"{pen}{axis.left + (axis.right - axis.left) * (time - begin_us) / span:.1f} {y(value):.1f}"
        )
        pen = "L"
    return f'<path d="{" ".join(points)}" fill="none" stroke="{_INK}" stroke-width="1.6"/>'


def _bars(axis: Axis, chart: Chart, low: float, y: Callable[[float], float]) -> str:
    """Rain as it was reported, in the indicator's unit."""
    if chart.metric != "rain" or chart.unit != "mm":
        return ""
    times, values = thinned(chart.readings)
    begin_us, span = microseconds(axis.begin), (axis.end - axis.begin) / timedelta(microseconds=1)
    foot = y(max(0.0, low))
    bars = [
        f"M{axis.left + (axis.right - axis.left) * (time - begin_us) / span:.1f} {foot:.1f}V{y(value):.1f}"
        for time, value in zip(times, values, strict=True)
        if value > 0
    ]
    return f'<path d="{" ".join(bars)}" stroke="#7ba7e8" stroke-width="3"/>'


def thinned(curve: Curve) -> tuple[list[int], list[float]]:
    """As many points as can be seen: of each stretch the lowest and the highest, in their order."""
    times, values = list(curve.times_us), list(curve.values)
    if len(times) <= _MOST_POINTS:
        return times, values
    step = 2 * math.ceil(len(times) / _MOST_POINTS)
    kept: set[int] = {0, len(times) - 1}
    for begin in range(0, len(times), step):
        stretch = range(begin, min(begin + step, len(times)))
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    order = sorted(kept)
    return [times[nth] for nth in order], [values[nth] for nth in order]


def _bar(share: Share, top: float, height: float, colour: str, left: float, right: float) -> Iterator[str]:
    value, interval = share.value, share.interval
    if value is None or interval is None:
        yield _text(left + 6, top + height - 3, "– (0)", colour=_SOFT)
        return
    wide = right - left
    low, high = (left + wide * end for end in interval)
    middle = top + height / 2
    yield f'<rect x="{left}" y="{top}" width="{wide * value:.1f}" height="{height}" fill="{colour}"/>'
    whisker = f"M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8"
    yield f'<path d="{whisker}" stroke="#d92d20" stroke-width="1.6" fill="none"/>'
    yield _text(right + 10, top + height - 3, f"{value:.0%}  ({share.of}/{share.all})", size=12)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = min(0.0, low) if low > -0.2 * abs(high) and low < 0.5 * high else low
    room = (high - low) * 0.06 or 1.0
    return (low if low == 0.0 else low - room), high + room


def _ticks(low: float, high: float) -> Iterator[float]:
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    value = math.ceil(low / step) * step
    while value <= high:
        yield round(value, 10)
        value += step


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, colour: str = _SOFT
) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _short(words: str, most: int) -> str:
    """Chinese characters are twice as wide."""
    width, kept = 0, ""
    for c in words:
        width += 2 if ord(c) > 0x2E80 else 1
        if width > most:
            return f"{kept}…"
        kept += c
    return kept


def _svg(height: float, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
