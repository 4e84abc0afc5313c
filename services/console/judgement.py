"""A judgement once more, for the eye: the curve that was judged, and when it crossed its line. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from tongluo.finding import Criterion, Side

# As the rules do it: finer than any gauge, and exact.
UNITS_PER_MM: Final = 1000

Sample = tuple[datetime, float]


def rolling_sums(samples: Iterable[Sample], window: timedelta) -> list[Sample]:
    """At each time t the sum of the amounts (mm) in (t - window, t], in exact thousandths; `samples` in order of time."""
    held: deque[tuple[datetime, int]] = deque()
    total, sums = 0, list[Sample]()
    for time, amount in samples:
        units = round(amount * UNITS_PER_MM)
        held.append((time, units))
        total += units
        while held[0][0] <= time - window:
            total -= held.popleft()[1]
        sums.append((time, total / UNITS_PER_MM))
    return sums


def crossing(curve: Sequence[Sample], line: Criterion, judged: datetime) -> datetime | None:
    """When the curve last came to be on the dangerous side of the line, at or before the judgement; None where it never
    did, or was there from the first sample on."""
    crossed: datetime | None = None
    beyond = True
    for time, value in curve:
        if time > judged:
            break
        now = value >= line.reach if line.side is Side.ABOVE else value <= line.reach
        if now and not beyond:
            crossed = time
        beyond = now
    return crossed
