"""Slow and obvious: what the kernels must find, from all readings in the order of their times."""

from collections.abc import Sequence
from fractions import Fraction

from services.rules.catalogue.model import Item
from tongluo.duration import microseconds
from tongluo.finding import Level
from tongluo.reading import Reading
from tongluo.readings import microseconds as since_epoch

Course = list[tuple[int, Level | None]]


def rain_course(item: Item, readings: Sequence[Reading]) -> Course:
    """The level of one gauge as a function of event time: every change up to its newest reading, with its moment.

    The sum over a window at t is that of (t - span, t]. A line is held from the moment its sum reaches it until the sum
    has been under the release line for `release_after` without a break.
    """
    if not readings:
        return []
    rain = {since_epoch(r.time): Fraction(round(r.value * 1000), 1000) for r in readings if r.value > 0}
    newest = max(since_epoch(r.time) for r in readings)
    spans = {one.name: microseconds(one.span) for one in item.indicators}
    after = microseconds(item.release_after)
    changes = [
        _held(rain, spans[line.indicator], line.reach or 0.0, line.release_ratio, after, newest)
        for line in item.lines
    ]
    course: Course = []
    for time in sorted({time for held in changes for time, _ in held}):
        level = max(
            (line.level for line, held in zip(item.lines, changes, strict=True) if _at(held, time)),
            default=None,
        )
        if level is not (course[-1][1] if course else None):
            course.append((time, level))
    return course


def _at(held: list[tuple[int, bool]], time: int) -> bool:
    return next((value for at, value in reversed(held) if at <= time), False)


def _held(
    rain: dict[int, Fraction], span: int, reach: float, ratio: float, after: int, newest: int
) -> list[tuple[int, bool]]:
    """When one line begins and ends to be held, up to the newest reading."""
    line, release = Fraction(round(reach * 1000), 1000), Fraction(round(reach * ratio * 1000), 1000)
    moments = sorted({t for time in rain for t in (time, time + span) if t <= newest})
    found: list[tuple[int, bool]] = []
    holds, calm = False, None
    for moment in moments:
        if holds and calm is not None and calm + after < moment:
            found.append((calm + after, False))
            holds, calm = False, None
        total = sum((amount for time, amount in rain.items() if moment - span < time <= moment), Fraction(0))
        if total >= line and not holds:
            found.append((moment, True))
            holds = True
        if holds and total < release:
            calm = moment if calm is None else calm
        elif holds:
            calm = None
    if holds and calm is not None and calm + after <= newest:
        found.append((calm + after, False))
    return found
