"""How well alerts met events: hits, misses, false alarms, POD, FAR, CSI with their intervals, and lead times. Pure.

Source: Schaefer, J. T. (1990): The critical success index as an indicator of warning skill. Weather and Forecasting 5,
570-575 (POD, FAR, CSI); Wilson, E. B. (1927): Probable inference, the law of succession, and statistical inference.
Journal of the American Statistical Association 22, 209-212 (intervals).
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

import msgspec

from services.rules.past.alerts import PastAlert, stretches
from services.rules.past.truth import TrueEvent
from tongluo.finding import Level

#: 95 %, two-sided.
_Z: Final = 1.959963984540054


class Share(msgspec.Struct, frozen=True):
    """`of` counted out of `all`, with the Wilson interval of 95 %."""

    of: int
    all: int

    @property
    def value(self) -> float | None:
        """None where there is nothing to divide by."""
        return self.of / self.all if self.all else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's score interval: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)."""
        if not self.all:
            return None
        n, p, z2 = self.all, self.of / self.all, _Z * _Z
        middle = p + z2 / (2 * n)
        half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
        # At the ends the rounding of floats must not show.
        return (0.0 if self.of == 0 else low, 1.0 if self.of == self.all else high)


class Met(msgspec.Struct, frozen=True):
    """An event, and the first alert that met it (None: missed). `lead_s`: how long before the event it began; negative
    when it came late."""

    event: TrueEvent
    alert: str | None = None
    lead_s: float | None = None


class Skill(msgspec.Struct, frozen=True):
    """Alerts at `level` or above against events; of one hazard, or of all (None).

    An event without a hazard counts for every hazard. `met` are the events, `right` the ids of alerts that some event
    explains, `wrong` of those that none does.
    """

    level: Level
    hazard: str | None
    met: tuple[Met, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def hits(self) -> int:
        return sum(one.alert is not None for one in self.met)

    @property
    def misses(self) -> int:
        return len(self.met) - self.hits

    @property
    def false_alarms(self) -> int:
        return len(self.wrong)

    @property
    def pod(self) -> Share:
        """Probability of detection: events that were met."""
        return Share(self.hits, len(self.met))

    @property
    def far(self) -> Share:
        """False alarm ratio: alerts that no event explains."""
        return Share(len(self.wrong), len(self.right) + len(self.wrong))

    @property
    def csi(self) -> Share:
        """Critical success index: hits of hits, misses and false alarms."""
        return Share(self.hits, len(self.met) + len(self.wrong))

    @property
    def leads_s(self) -> list[float]:
        return sorted(one.lead_s for one in self.met if one.lead_s is not None)

    @property
    def lead_s(self) -> float | None:
        """The median lead time."""
        return median(self.leads_s) if self.leads_s else None


class _Standing(msgspec.Struct, frozen=True):
    alert: str
    hazard: str
    begin: datetime
    end: datetime | None


def skill(
    alerts: Iterable[PastAlert],
    events: Sequence[TrueEvent],
    level: Level,
    lead_max: timedelta,
    hazard: str | None = None,
) -> Skill:
    """Match alerts with events.

    An alert meets an event when it stood at `level` or above, at one of the event's sites, at some time from `lead_max`
    before the event to its end; where the event names its hazard, only alerts of that hazard do. Its lead time is from the
    beginning of that stretch of time to that of the event.
    """
    wanted = [one for one in events if hazard is None or one.hazard in (None, hazard)]
    by_site: dict[str, list[_Standing]] = {}
    every: dict[str, None] = {}
    for alert in alerts:
        if hazard is None or alert.hazard == hazard:
            for part in stretches(alert, level):
                by_site.setdefault(alert.site, []).append(
                    _Standing(alert.id, alert.hazard, part.begin, part.end)
                )
                every[alert.id] = None
    right: set[str] = set()
    met: list[Met] = []
    for event in wanted:
        explained = [
            one
            for site in sorted(event.sites)
            for one in by_site.get(site, ())
            if _explains(event, one, lead_max)
        ]
        right.update(one.alert for one in explained)
        first = min(explained, key=lambda one: (one.begin, one.alert), default=None)
        met.append(
            Met(event)
            if first is None
            else Met(event, first.alert, (event.start - first.begin).total_seconds())
        )
    return Skill(
        level,
        hazard,
        tuple(met),
        tuple(one for one in every if one in right),
        tuple(one for one in every if one not in right),
    )


def _explains(event: TrueEvent, one: _Standing, lead_max: timedelta) -> bool:
    if event.hazard is not None and event.hazard != one.hazard:
        return False
    return one.begin <= event.end and (one.end is None or one.end >= event.start - lead_max)
