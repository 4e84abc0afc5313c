"""A study for a terminal: what would have been raised, how well it met what happened, and what other rules change."""

from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.rules.past.alerts import PastAlert
from services.rules.past.skill import Share, Skill
from services.rules.past.study import Study, totals
from tongluo.finding import Level

MOST_ROWS: Final = 60
_STYLES: Final = {Level.BLUE: "blue", Level.YELLOW: "yellow", Level.ORANGE: "dark_orange", Level.RED: "red"}


def tell(out: Console, study: Study) -> None:
    """Notes, alerts, skill, differences; times by the county's clock."""
    asked = study.asked
    out.print(
        f"{study.readings} readings of {study.stations} stations, {_time(study, asked.begin)} to {_time(study, asked.end)} "
        f"({study.zone.key}); rules {study.new.catalogue.version}"
    )
    for note in study.notes:
        out.print(Text(f"note: {note.en} · {note.zh}", "dim"))
    _alerts(out, study)
    if asked.events is not None:
        _skill(out, study)
    if study.differences is not None:
        found = totals(study.differences)
        out.print(
            f"level changes, old rules against new: {found.same} the same, {found.earlier} earlier, {found.later} later, "
            f"{found.only_old} only old, {found.only_new} only new"
        )


def _alerts(out: Console, study: Study) -> None:
    alerts = study.new.alerts
    table = Table(title="alerts that would have been raised", box=None, padding=(0, 2, 0, 0))
    columns = ["onset", "site", "hazard", "peak", "because", "cleared"]
    found = study.new.skills.get(study.asked.level)
    for name in [*columns, "event"] if found is not None else columns:
        table.add_column(name, no_wrap=name in ("onset", "cleared", "peak", "hazard"))
    for alert in alerts[:MOST_ROWS]:
        cells: list[str | Text] = [
            _time(study, alert.onset),
            _site(study, alert.site),
            alert.hazard,
            _peak(alert),
            alert.at_peak.evidence.figure.en,
            _time(study, alert.ended) if alert.ended is not None else "still open",
        ]
        if found is not None:
            cells.append(
                "hit" if alert.id in found.right else "false alarm" if alert.id in found.wrong else "-"
            )
        table.add_row(*(one if isinstance(one, Text) else Text(one) for one in cells))
    out.print(table)
    if len(alerts) > MOST_ROWS:
        out.print(f"and {len(alerts) - MOST_ROWS} more: --json or --report lists them")
    if study.old is not None:
        out.print(f"alerts: {len(study.old.alerts)} by the old rules, {len(alerts)} by the new ones")


def _skill(out: Console, study: Study) -> None:
    asked = study.asked
    hours = asked.lead_max.total_seconds() / 3600
    title = f"skill: {len(asked.events or ())} events, alerts from {hours:g} h before (95 % intervals)"
    table = Table(title=title, box=None, padding=(0, 2, 0, 0))
    for name in ("alerts", "rules", "hits", "misses", "false alarms", "POD", "FAR", "CSI", "median lead"):
        table.add_column(name, no_wrap=True)
    courses = [("new", study.new)] + ([("old", study.old)] if study.old is not None else [])
    for level in reversed(Level):
        for name, course in courses:
            _row(table, f"{level.value} or above", name, course.skills[level])
    for name, course in courses:
        for hazard, found in course.by_hazard.items():
            _row(table, f"{hazard}, {asked.level.value}", name, found)
    out.print(table)
    if asked.unwatched:
        out.print(
            f"{len(asked.unwatched)} more events happened where nothing was measured: they are in no count"
        )


def _row(table: Table, words: str, rules: str, found: Skill) -> None:
    lead = "-" if found.lead_s is None else f"{found.lead_s / 3600:.1f} h"
    counts = (str(found.hits), str(found.misses), str(found.false_alarms))
    table.add_row(words, rules, *counts, _share(found.pod), _share(found.far), _share(found.csi), lead)


def _share(share: Share) -> str:
    value, interval = share.value, share.interval
    return "-" if value is None or interval is None else f"{value:.2f} ({interval[0]:.2f}-{interval[1]:.2f})"


def _peak(alert: PastAlert) -> Text:
    return Text(f"{alert.peak.zh} {alert.peak.value}", f"bold {_STYLES[alert.peak]}")


def _site(study: Study, site: str) -> str:
    known = study.county.sites.get(site)
    return f"{known.name} ({site})" if known is not None and known.name != site else site


def _time(study: Study, time: datetime) -> str:
    return f"{time.astimezone(study.zone):%Y-%m-%d %H:%M}"
