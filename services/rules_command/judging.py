"""A history judged by one or two catalogues: everything of a replay that reads, counts and draws, in one place."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from services.rules.catalogue import read_catalogue
from services.rules.catalogue.model import Catalogue
from services.rules.past import notes
from services.rules.past.places import Place, Told, known_metrics, placed
from services.rules.past.replay import LevelChange, Replay
from services.rules.past.silences import silences
from services.rules.past.study import Asked, Study, asked_of, compared, course
from services.rules.past.truth import read_truth
from services.rules.stations.weather import NEEDED
from services.rules_command.charts import charts
from services.rules_command.history import Columns, History, HistoryError, readings
from services.rules_command.quality import Control
from tongluo.detection import Detection
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.liveness import StationEvent
from tongluo.reading import METRICS
from tongluo.readings import Series, moment
from tongluo.region import County, SiteKind
from tongluo.signal import Sighting, Signal, Spoke

Files = Mapping[str, str]
Progress = Callable[[float], None]

ZONE: Final = ZoneInfo("Asia/Shanghai")


class Wish(msgspec.Struct, frozen=True):
    """What is to be judged by what. `against`: the rules to compare with. `begin` and `end` None: as far as the history goes.

    `truth` is the text of the table of events, `truth_name` what it is called. `silences` None: they are derived from
    when stations were heard, `silent_after` of their intervals. `kind`: what sites that are not registered are taken for.
    """

    files: Files
    against: Files | None
    source: str
    begin: datetime | None = None
    end: datetime | None = None
    level: Level = Level.YELLOW
    lead_max: timedelta = timedelta(hours=24)
    truth: str | None = None
    truth_name: str = "events"
    silences: tuple[StationEvent, ...] | None = None
    silent_after: int = 3
    kind: SiteKind | None = None
    zone: ZoneInfo = ZONE


Sightings = Callable[[County], Sequence[Detection]]


def told_by(history: History, base: County | None, kind: SiteKind | None) -> Told:
    """The county of a history: what is registered, and a place (of a kind of site) for every other station of it."""
    known, unknown = known_metrics(one.metric for one in history.series)
    if not known:
        raise HistoryError(
            f"nothing of {', '.join(unknown)[:200]} is judged; metrics are {', '.join(METRICS)}"
        )
    places = []
    for name, of in groupby(history.series, key=lambda one: one.station):
        mine = [one for one in of if one.metric in METRICS]
        if mine:
            usual = max(mine, key=lambda one: one.readings).interval_us
            interval = timedelta(microseconds=usual) if usual else None
            places.append(Place(name, tuple(one.metric for one in mine), interval, kind))
    return placed(base, places)


def study(
    history: History, base: County | None, wish: Wish, sightings: Sightings, progress: Progress
) -> Study:
    """Judge and compare. Raises TongluoError: HistoryError, RuleError, TruthError, TooMuch."""
    told = told_by(history, base, wish.kind)
    catalogue = read_catalogue(wish.files, told.county)
    against = read_catalogue(wish.against, told.county) if wish.against is not None else None
    events = (
        read_truth(wish.truth, wish.truth_name, told.county, told.ids) if wish.truth is not None else None
    )
    seen = sightings(told.county)
    both = [catalogue] if against is None else [catalogue, against]
    end = wish.end or moment(history.last_us)
    asked = asked_of(
        Asked(wish.begin or moment(history.first_us), end, wish.level, wish.lead_max),
        events,
        _watched(told, history, seen),
    )
    signals = list(_signals(history, told, wish, end, both)) + [Sighting(one) for one in seen]
    found = _judged(history, told, both, signals, end, progress)
    new = course(catalogue, found[0], asked)
    old = course(against, found[1], asked) if against is not None else None
    return Study(
        county=told.county,
        zone=wish.zone,
        source=wish.source,
        readings=history.readings - history.twice,
        stations=len(told.ids),
        asked=asked,
        notes=tuple(_notes(history, told, wish, both, seen)),
        new=new,
        old=old,
        differences=compared(old, new) if old is not None else None,
        charts=tuple(charts(history, told, new)),
    )


def _watched(told: Told, history: History, seen: Sequence[Detection]) -> frozenset[str]:
    """The sites of which the history says something."""
    sites = {
        told.county.stations[told.ids[one.station]].site for one in history.series if one.station in told.ids
    }
    return frozenset(sites | {one.site for one in seen})


def _judged(
    history: History,
    told: Told,
    catalogues: Sequence[Catalogue],
    signals: Sequence[Signal],
    end: datetime,
    progress: Progress,
) -> list[list[LevelChange]]:
    """What each catalogue finds, over one pass through the history."""
    replays = [Replay(catalogue, told.county) for catalogue in catalogues]
    wanted = _metrics(catalogues)
    numbers = [
        nth for nth, one in enumerate(history.series) if one.metric in wanted and one.station in told.ids
    ]
    judged = np.zeros(len(history.series), bool)
    judged[numbers] = True
    series = [_series(told, one.station, one.metric) for one in history.series]
    control = None if history.flagged else Control(told.county, series)
    done = 0
    for batch in history.batches():
        done += len(batch)
        kept = judged[batch.which]
        columns = Columns(batch.time_us[kept], batch.which[kept], batch.value[kept], batch.flags[kept])
        if len(columns):
            if control is not None:
                columns = msgspec.structs.replace(columns, flags=control.flags(columns))
            entry = readings(columns, series)
            for replay in replays:
                replay.feed(entry)
        progress(done / history.readings)
    return [replay.finish(signals, end) for replay in replays]


def _metrics(catalogues: Sequence[Catalogue]) -> set[str]:
    """What is judged, and what fire weather is reckoned by."""
    found = {item.metric for one in catalogues for rule in one.station_rules for item in rule.items}
    return found | {*NEEDED, "rain"} if any(one.fire is not None for one in catalogues) else found


def _series(told: Told, station: str, metric: str) -> Series:
    """A series as the engine knows it; one whose metric nobody knows is not asked for."""
    return told.series(station, metric) if station in told.ids else Series(station, metric, "", "")


def _signals(
    history: History, told: Told, wish: Wish, end: datetime, catalogues: Sequence[Catalogue]
) -> Iterable[Signal]:
    """Silences: those that were told, else those that follow from the readings. Only who is registered can be silent."""
    if all(one.silence is None for one in catalogues):
        return
    if wish.silences is not None:
        yield from (Spoke(event) for event in wish.silences if event.station in told.county.stations)
        return
    strangers = frozenset(told.strangers)
    registered = {name: station for name, station in told.ids.items() if name not in strangers}
    if registered:
        heard = {registered[name]: one for name, one in history.presence(list(registered)).items()}
        yield from (Spoke(event) for event in silences(told.county, heard, wish.silent_after, end))


def _notes(
    history: History, told: Told, wish: Wish, catalogues: Sequence[Catalogue], seen: Sequence[Detection]
) -> Iterable[Words]:
    """What a reader must know about this replay."""
    _, unknown = known_metrics(one.metric for one in history.series)
    if told.strangers:
        yield notes.strangers(told.strangers, all_of_them=len(told.strangers) == len(told.ids))
    if unknown:
        yield notes.unknown_metrics(unknown)
    if history.missing:
        yield notes.missing(history.missing)
    if history.twice:
        yield notes.twice(history.twice, history.contradicting)
    if history.flagged:
        yield notes.FLAGGED
    if any(one.silence is not None for one in catalogues) and wish.silences is None:
        yield notes.NO_SILENCES if len(told.strangers) == len(told.ids) else notes.SILENCES
    if any(one.fire is not None for one in catalogues) and not seen:
        yield notes.NO_DETECTIONS
