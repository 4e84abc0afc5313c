"""A study of rules over the past: what was judged, what each set of rules found, how well, and where they differ. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from services.rules.catalogue.model import Catalogue
from services.rules.past.alerts import Followed, PastAlert, follow, within
from services.rules.past.replay import LevelChange
from services.rules.past.skill import Skill, skill
from services.rules.past.truth import TrueEvent
from tongluo import shadow
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.region import County


class Asked(msgspec.Struct, frozen=True):
    """The period begin <= time <= end, what happened in it, and how alerts are held against that.

    `events` None: not known. `unwatched` are events of the period at sites of which the history says nothing: they are in no
    count.
    """

    begin: datetime
    end: datetime
    level: Level
    lead_max: timedelta
    events: tuple[TrueEvent, ...] | None = None
    unwatched: tuple[TrueEvent, ...] = ()


class Course(msgspec.Struct, frozen=True):
    """What one catalogue found in the period. `skills`: by level, of all hazards together; `by_hazard`: at the asked level.

    Both are empty where no events are known.
    """

    catalogue: Catalogue
    followed: tuple[Followed, ...]
    alerts: tuple[PastAlert, ...]
    skills: Mapping[Level, Skill]
    by_hazard: Mapping[str, Skill]


class Curve(msgspec.Struct, frozen=True):
    """A series to be drawn: times in microseconds."""

    times_us: Sequence[int]
    values: Sequence[float]


class Chart(msgspec.Struct, frozen=True):
    """What an alert was raised of: the readings, the deciding indicator where it can be drawn, and its lines by level."""

    alert: PastAlert
    station: str
    metric: str
    unit: str
    title: Words
    readings: Curve
    indicator: Curve | None
    lines: Mapping[Level, float]


class Study(msgspec.Struct, frozen=True):
    """Everything a report says. `notes`: what the reader must know, such as what could not be replayed."""

    county: County
    zone: ZoneInfo
    source: str
    readings: int
    stations: int
    asked: Asked
    notes: tuple[Words, ...]
    new: Course
    old: Course | None
    differences: shadow.Comparison | None
    charts: tuple[Chart, ...] = ()


def asked_of(asked: Asked, events: Sequence[TrueEvent] | None, watched: frozenset[str]) -> Asked:
    """The question with the events of its period; `watched` are the sites that the history says something of."""
    if events is None:
        return asked
    inside = [one for one in events if one.start <= asked.end and one.end >= asked.begin]
    seen = tuple(one for one in inside if one.sites & watched)
    unseen = tuple(one for one in inside if not one.sites & watched)
    return msgspec.structs.replace(asked, events=seen, unwatched=unseen)


def course(catalogue: Catalogue, changes: Sequence[LevelChange], asked: Asked) -> Course:
    """What came of a catalogue in the period; `changes` are all since the history began."""
    followed, alerts = follow(changes)
    inside = tuple(one for one in followed if asked.begin <= one.change.time <= asked.end)
    standing = tuple(within(alerts, asked.begin, asked.end))
    if asked.events is None:
        return Course(catalogue, inside, standing, {}, {})
    hazards = {alert.hazard for alert in standing} | {
        one.hazard for one in asked.events if one.hazard is not None
    }
    return Course(
        catalogue,
        inside,
        standing,
        {level: skill(standing, asked.events, level, asked.lead_max) for level in Level},
        {
            hazard: skill(standing, asked.events, asked.level, asked.lead_max, hazard)
            for hazard in sorted(hazards)
        },
    )


def compared(old: Course, new: Course) -> shadow.Comparison:
    """Changes of level of the one set against the other, by rule and site."""
    return shadow.compare(_changes(old), _changes(new))


def _changes(of: Course) -> list[shadow.Change]:
    return [
        shadow.Change(one.change.rule, one.change.site, one.change.time, one.change.level)
        for one in of.followed
    ]


class Differences(msgspec.Struct, frozen=True):
    """How many changes of level both found at the same moment, the new rules found earlier or later, and only one found."""

    same: int
    earlier: int
    later: int
    only_old: int
    only_new: int


def totals(found: shadow.Comparison) -> Differences:
    """The counts of a comparison."""
    late = [pair.later_s for pair in found.both]
    return Differences(
        sum(one == 0 for one in late),
        sum(one < 0 for one in late),
        sum(one > 0 for one in late),
        len(found.only_old),
        len(found.only_new),
    )


#: What is left of antecedent rain when a soil has forgotten it.
_FORGOTTEN = 0.01


def looks_back(catalogue: Catalogue) -> timedelta:
    """How long before a moment readings can still matter to what a catalogue says of it."""
    spans = [timedelta(0)]
    for rule in catalogue.station_rules:
        for item in rule.items:
            own = [one.span for one in item.indicators]
            own += [one.curve.longest + one.curve.dry for one in item.indicators if one.curve is not None]
            if item.soil is not None:
                own.append(timedelta(days=math.ceil(math.log(_FORGOTTEN) / math.log(item.soil.k))))
            spans.append(max(own) + item.release_after + item.confirm.hold)
    slowest = max((rule.release_after for rule in catalogue.compound), default=timedelta(0))
    return max(spans) + slowest
