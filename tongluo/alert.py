"""The life of an alert as a pure function: raised, worsened, eased, cleared."""

import enum
from datetime import UTC, datetime

import msgspec

from tongluo.finding import Evidence, Finding, Level, rank


class State(enum.StrEnum):
    """The alert's last transition; each transition is one report (首报 / 续报 / 终报)."""

    RAISED = "raised"
    WORSENED = "worsened"
    EASED = "eased"
    CLEARED = "cleared"


class Alert(msgspec.Struct, frozen=True):
    """One hazard at one site with a life. Identified by (hazard, site, drill, onset), so a replay gives the same id.

    `level` is None once cleared; `report_no` counts its reports from 1. `drill`: of an exercise, with a life of its own
    beside the real one's.
    """

    id: str
    hazard: str
    site: str
    onset: datetime
    level: Level | None
    peak: Level
    state: State
    updated: datetime
    report_no: int
    evidence: Evidence
    drill: bool = False

    @property
    def open(self) -> bool:
        return self.level is not None


def alert_id(hazard: str, site: str, onset: datetime, *, drill: bool = False) -> str:
    """Readable, deterministic, and without dots so that it can stand in a `webhook-id`."""
    utc = onset.astimezone(UTC)
    micro = f"-{utc.microsecond:06d}" if utc.microsecond else ""
    return f"{'drill-' if drill else ''}{hazard}-{site}-{utc:%Y%m%dT%H%M%SZ}{micro}"


def transition(current: Alert | None, finding: Finding) -> Alert | None:
    """The alert after `finding`, or None when the finding changes nothing.

    `current` is the site's newest alert for this hazard (of exercises, for a drill), open or cleared. A finding that is not newer than what
    the alert already knows is a repetition and changes nothing, which makes "twice" harmless.
    """
    if current is not None and finding.time <= current.updated:
        return None
    if current is None or not current.open:
        return _raise(finding)
    return _move(current, finding)


def _raise(finding: Finding) -> Alert | None:
    if finding.level is None:
        return None
    return Alert(
        id=alert_id(finding.hazard, finding.site, finding.time, drill=finding.drill),
        hazard=finding.hazard,
        site=finding.site,
        onset=finding.time,
        level=finding.level,
        peak=finding.level,
        state=State.RAISED,
        updated=finding.time,
        report_no=1,
        evidence=finding.evidence,
        drill=finding.drill,
    )


def _move(current: Alert, finding: Finding) -> Alert | None:
    if finding.level is current.level:
        return None
    return msgspec.structs.replace(
        current,
        level=finding.level,
        peak=max(current.peak, finding.level) if finding.level is not None else current.peak,
        state=_direction(current.level, finding.level),
        updated=finding.time,
        report_no=current.report_no + 1,
        evidence=finding.evidence,
    )


def _direction(before: Level | None, after: Level | None) -> State:
    if after is None:
        return State.CLEARED
    return State.WORSENED if rank(after) > rank(before) else State.EASED
