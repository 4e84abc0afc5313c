"""A study as plain values: one object a level change, and the whole for the console's page. Pure."""

from datetime import datetime
from typing import Any

import msgspec

from services.rules.past.alerts import Followed, PastAlert
from services.rules.past.skill import Share, Skill
from services.rules.past.study import Course, Study, totals
from tongluo.finding import Level
from tongluo.wire import iso

#: Alerts that a page lists.
MOST_LISTED = 2000


def line(one: Followed) -> dict[str, Any]:
    """A level change: when, where, by which rule, from what to what, and what it was judged by.

    `indicators` are values by indicator, in the units of `units`; `alert` and `report_no` are the desk's report that it
    leads to, null where it changes no alert.
    """
    finding, because = one.change.finding, one.change.finding.evidence
    found: dict[str, Any] = {
        "time": iso(finding.time),
        "site": finding.site,
        "station": because.station,
        "rule": finding.rule,
        "rule_version": because.rule_version,
        "hazard": finding.hazard,
        "before": one.change.before.value if one.change.before is not None else None,
        "after": finding.level.value if finding.level is not None else None,
        "indicators": {measure.indicator: measure.value for measure in because.measures},
        "units": {measure.indicator: measure.unit for measure in because.measures},
        "criterion": msgspec.to_builtins(because.criterion),
        "sentence": msgspec.to_builtins(because.sentence),
        "alert": one.alert,
        "state": one.state.value if one.state is not None else None,
        "report_no": one.report_no,
    }
    if because.forecast is not None:
        found["forecast"] = msgspec.to_builtins(because.forecast)
    if because.fix is not None:
        found["fix"] = msgspec.to_builtins(because.fix)
    return found


def report_json(study: Study) -> dict[str, Any]:
    """The study's findings: period, outcomes of both sets of rules, skill by level and hazard, differences, alerts.

    Without other rules to compare with, `old` says the same as `new`.
    """
    asked = study.asked
    old = study.old if study.old is not None else study.new
    return {
        "from": iso(asked.begin),
        "to": iso(asked.end),
        "source": study.source,
        "readings": study.readings,
        "stations": study.stations,
        "level": asked.level.value,
        "lead_max_s": asked.lead_max.total_seconds(),
        "events": None if asked.events is None else len(asked.events),
        "events_unwatched": len(asked.unwatched),
        "compared": study.old is not None,
        "notes": [msgspec.to_builtins(note) for note in study.notes],
        "old": _outcome(old, study),
        "new": _outcome(study.new, study),
        "differences": None if study.differences is None else msgspec.to_builtins(totals(study.differences)),
        "alerts": _alerts(old, study.new, study),
    }


def _outcome(course: Course, study: Study) -> dict[str, Any]:
    peaks = [alert.peak for alert in course.alerts]
    return {
        "version": course.catalogue.version,
        "changes": len(course.followed),
        "alerts": len(course.alerts),
        "levels": {level.value: peaks.count(level) for level in Level if level in peaks},
        "skill": _skill(course.skills.get(study.asked.level)),
        "skill_by_level": {level.value: _skill(one) for level, one in course.skills.items()},
        "skill_by_hazard": {hazard: _skill(one) for hazard, one in course.by_hazard.items()},
    }


def _skill(found: Skill | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "hits": found.hits,
        "misses": found.misses,
        "false_alarms": found.false_alarms,
        **_share("pod", found.pod),
        **_share("far", found.far),
        **_share("csi", found.csi),
        "lead_s": found.lead_s,
        "leads_s": found.leads_s,
    }


def _share(name: str, share: Share) -> dict[str, Any]:
    """The share, with its 95 % interval."""
    return {name: share.value, f"{name}_interval": share.interval}


def _alerts(old: Course, new: Course, study: Study) -> list[dict[str, Any]]:
    """Every alert of either set, paired where they stood at the same time, by onset."""
    listed = [
        {
            "hazard": (before or after).hazard,  # type: ignore[union-attr]
            "site": (before or after).site,  # type: ignore[union-attr]
            "old": _alert(before),
            "new": _alert(after),
            "hit": _hit(after, new, study) if after is not None else _hit(before, old, study),
        }
        for before, after in paired(old.alerts, new.alerts)
    ]
    return listed[:MOST_LISTED]


def paired(
    old: tuple[PastAlert, ...], new: tuple[PastAlert, ...]
) -> list[tuple[PastAlert | None, PastAlert | None]]:
    """Alerts of a hazard at a site that stood at the same time, each in one pair; by onset."""
    free: dict[tuple[str, str], list[PastAlert]] = {}
    for alert in old:
        free.setdefault((alert.hazard, alert.site), []).append(alert)
    pairs: list[tuple[PastAlert | None, PastAlert | None]] = []
    for after in new:
        waiting = free.get((after.hazard, after.site), [])
        before = next((one for one in waiting if _meet(one, after)), None)
        if before is not None:
            waiting.remove(before)
        pairs.append((before, after))
    pairs += [(before, None) for waiting in free.values() for before in waiting]
    return sorted(pairs, key=lambda pair: _onset(*pair))


def _onset(before: PastAlert | None, after: PastAlert | None) -> tuple[datetime, str]:
    return min((one.onset, one.id) for one in (before, after) if one is not None)


def _meet(one: PastAlert, other: PastAlert) -> bool:
    return (one.ended is None or one.ended >= other.onset) and (
        other.ended is None or other.ended >= one.onset
    )


def _alert(alert: PastAlert | None) -> dict[str, Any] | None:
    if alert is None:
        return None
    return {
        "id": alert.id,
        "onset": iso(alert.onset),
        "peak": alert.peak.value,
        "ended": iso(alert.ended) if alert.ended is not None else None,
    }


def _hit(alert: PastAlert | None, course: Course, study: Study) -> bool | None:
    """Whether an event explains an alert; None where that is not known, or it never reached the asked level."""
    found = course.skills.get(study.asked.level)
    if alert is None or found is None:
        return None
    if alert.id in found.right:
        return True
    return False if alert.id in found.wrong else None
