"""The alerts that findings lead to, with the ids they have live: by the desk's own transition."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from services.rules.past.replay import LevelChange
from tongluo.alert import Alert as Current
from tongluo.alert import State, transition
from tongluo.finding import Evidence, Level


class Step(msgspec.Struct, frozen=True):
    """One report of an alert: from `time` on it stood at `level`."""

    time: datetime
    level: Level | None
    state: State
    report_no: int
    evidence: Evidence


class PastAlert(msgspec.Struct, frozen=True):
    """An alert's whole course. `ended` None: still open when the history ends."""

    id: str
    hazard: str
    site: str
    steps: tuple[Step, ...]

    @property
    def onset(self) -> datetime:
        return self.steps[0].time

    @property
    def ended(self) -> datetime | None:
        last = self.steps[-1]
        return last.time if last.level is None else None

    @property
    def peak(self) -> Level:
        return max(step.level for step in self.steps if step.level is not None)

    @property
    def at_peak(self) -> Step:
        """The first report at the peak."""
        return next(step for step in self.steps if step.level is self.peak)


class Stretch(msgspec.Struct, frozen=True):
    """A time without a break at a level or above; `end` None: it lasts."""

    begin: datetime
    end: datetime | None


class Followed(msgspec.Struct, frozen=True):
    """A change of level, and the report it led to; None where it changed no alert."""

    change: LevelChange
    alert: str | None
    state: State | None
    report_no: int | None


def follow(changes: Iterable[LevelChange]) -> tuple[list[Followed], list[PastAlert]]:
    """What the desk makes of changes in order of time: each with its report, and every alert, by onset."""
    current: dict[tuple[str, str, bool], Current] = {}
    steps: dict[str, list[Step]] = {}
    followed: list[Followed] = []
    for change in changes:
        finding = change.finding
        course = finding.hazard, finding.site, finding.drill
        after = transition(current.get(course), finding)
        if after is None:
            followed.append(Followed(change, None, None, None))
            continue
        current[course] = after
        step = Step(after.updated, after.level, after.state, after.report_no, after.evidence)
        steps.setdefault(after.id, []).append(step)
        followed.append(Followed(change, after.id, after.state, after.report_no))
    whose = {one.alert: one.change.finding for one in followed if one.alert is not None}
    alerts = [PastAlert(name, whose[name].hazard, whose[name].site, tuple(of)) for name, of in steps.items()]
    return followed, sorted(alerts, key=lambda alert: (alert.onset, alert.id))


def stretches(alert: PastAlert, level: Level) -> list[Stretch]:
    """When an alert stood at a level or above."""
    found: list[Stretch] = []
    begin: datetime | None = None
    for step in alert.steps:
        up = step.level is not None and step.level >= level
        if up and begin is None:
            begin = step.time
        elif not up and begin is not None:
            found.append(Stretch(begin, step.time))
            begin = None
    if begin is not None:
        found.append(Stretch(begin, None))
    return found


def within(alerts: Sequence[PastAlert], begin: datetime, end: datetime) -> list[PastAlert]:
    """Those that stood at some time in [begin, end]."""
    return [a for a in alerts if a.onset <= end and (a.ended is None or a.ended >= begin)]
