"""The county-wide judgement: fire, silence and compound rules over the signals of one log. Pure."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue
from services.rules.county.compound import CompoundJudge, CompoundState
from services.rules.county.levels import of_findings
from services.rules.county.silence import SilenceJudge, SilenceState
from services.rules.county.silence import Told as LastTold
from services.rules.fire.judge import FireJudge, FireState
from tongluo.finding import Evidence, Finding, Level
from tongluo.hazards import Words
from tongluo.region import County, Purpose
from tongluo.signal import Sighting, Signal, SiteLevel, Spoke, Tick, time_of

# A signal by a clock of the field that is further ahead of the newest Tick is taken to be this much ahead: one wrong clock
# shall not end everybody's waiting.
MOST_AHEAD: Final = timedelta(minutes=10)
_NEXT: Final = timedelta(microseconds=1)


class World(msgspec.Struct):
    """What is remembered of one world: the real one, or that of an exercise."""

    fire: FireState = msgspec.field(default_factory=FireState)
    silence: SilenceState = msgspec.field(default_factory=SilenceState)
    compound: CompoundState = msgspec.field(default_factory=CompoundState)


class Told(msgspec.Struct):
    """What was told last of a rule at a site: when, and the level in the real world and in the exercise."""

    time: datetime
    hazard: str
    real: Level | None = None
    drill: Level | None = None


class CountyState(msgspec.Struct):
    """Everything remembered, bounded by the rules, sites and stations there are.

    `edition` is that of the catalogue and county it was judged by. `now` only moves forward; `ticked` is the newest
    Tick. Whatever is told next of a rule and site that have been forgotten comes after `floor`.
    """

    edition: str = ""
    now: datetime | None = None
    ticked: datetime | None = None
    floor: datetime | None = None
    told: dict[str, dict[str, Told]] = {}
    real: World = msgspec.field(default_factory=World)
    drill: World = msgspec.field(default_factory=World)


class CountyJudge:
    """Judges signals in the order of their log; no clock, no I/O. The state it is given is changed.

    Time. `now` is the newest event time of any signal. Ticks and silences go by our own clock; what goes by the
    field's may be at most MOST_AHEAD of the newest Tick, once there was one, and counts as that if it is more: where ticks
    come at all, they must come more often than that. What waits for time (a hold, a release, a silence that grows long) happens
    at the very moment it waits for, before the signal that brought the news of that moment: how often ticks come changes
    nothing. A signal that comes late is judged with all that is known, and what it brings is told at its own time. Of one
    rule at one site, findings follow each other by at least a microsecond.

    Exercises. A level with `drill`, or what a camera of an exercise saw, is judged in a world of its own, with the same
    rules and nothing else in common but that findings of a rule at a site, which are known by their times, follow each
    other in one row. Nobody is silent there.

    Change. A state that another catalogue or registry was judged by is looked through at the next signal: what is gone
    is forgotten and, where a level was told, told to be over; what stays keeps its level until its own rule gives it up.
    """

    def __init__(self, catalogue: Catalogue, county: County) -> None:
        self._fire = FireJudge(catalogue.fire, county) if catalogue.fire is not None else None
        self._silence = SilenceJudge(catalogue, county)
        self._compound = CompoundJudge(catalogue, county)
        self._county = county
        self._edition = _edition(catalogue, county)
        self._compounds = frozenset(rule.id for rule in catalogue.compound)
        self._untold = frozenset(rule.id for rule in catalogue.compound if not rule.tell)
        self._hazards = {
            rule.id: rule.hazard
            for rule in (catalogue.fire, catalogue.silence, *catalogue.compound)
            if rule is not None and rule.id not in self._untold
        }

    def judge(self, state: CountyState, signal: Signal) -> list[Finding]:
        """What time has ended by the signal's time, each at its own; then what the signal changes."""
        time = _take_time(state, signal)
        found = self._review(state) if state.edition != self._edition else []
        found += self._settle(state)
        if not isinstance(signal, Tick):
            drill = self._is_drill(signal)
            world = state.drill if drill else state.real
            found += self._tell(state, self._hear(world, _at(signal, time)), drill=drill)
            found += self._settle(state)
        return found

    def _is_drill(self, signal: Signal) -> bool:
        """Whether a signal belongs to an exercise."""
        match signal:
            case SiteLevel():
                return signal.drill
            case Sighting(detection):
                camera = self._county.stations.get(detection.camera)
                return camera is not None and camera.purpose is Purpose.DRILL
            case _:
                return False

    def due(self, state: CountyState) -> datetime | None:
        """When a Tick would next change something, if no other signal comes; the time of `now` or before: at once."""
        if state.now is not None and state.edition != self._edition:
            return state.now
        times = [
            part
            for world in (state.real, state.drill)
            for part in (
                self._fire.due(world.fire) if self._fire is not None else None,
                self._silence.due(world.silence),
                self._compound.due(world.compound),
            )
        ]
        return min((time for time in times if time is not None), default=None)

    def _settle(self, state: CountyState) -> list[Finding]:
        """What time has ended by `now`, one moment after the other."""
        found: list[Finding] = []
        while (moment := self.due(state)) is not None and state.now is not None and moment <= state.now:
            for drill, world in ((False, state.real), (True, state.drill)):
                found += self._tell(state, self._pass_time(world, moment), drill=drill)
        return found

    def _hear(self, world: World, signal: Signal) -> list[Finding]:
        """A signal, and what the parts hear of each other because of it."""
        found = self._fire.judge(world.fire, signal) if self._fire is not None else []
        heard = [signal, *of_findings(found)]
        quiet = [one for each in heard for one in self._silence.judge(world.silence, each)]
        combined = self._compound.hear(world.compound, [*heard, *of_findings(quiet)], None)
        return found + quiet + combined + self._echo(world, of_findings(combined))

    def _pass_time(self, world: World, moment: datetime) -> list[Finding]:
        found = self._fire.pass_time(world.fire, moment) if self._fire is not None else []
        quiet = [one for each in of_findings(found) for one in self._silence.judge(world.silence, each)]
        quiet += self._silence.pass_time(world.silence, moment)
        combined = self._compound.hear(world.compound, of_findings([*found, *quiet]), moment)
        return found + quiet + combined + self._echo(world, of_findings(combined))

    def _echo(self, world: World, levels: list[SiteLevel]) -> list[Finding]:
        """What compound levels change for silences, and that for compound rules, until nothing changes any more.

        It ends: a higher level never lowers another, so all that one signal sets off goes one way, and there are four
        levels.
        """
        found: list[Finding] = []
        while levels:
            quiet = [one for level in levels for one in self._silence.judge(world.silence, level)]
            combined = self._compound.hear(world.compound, of_findings(quiet), None)
            found += quiet + combined
            levels = of_findings(combined)
        return found

    def _tell(self, state: CountyState, found: Iterable[Finding], *, drill: bool) -> list[Finding]:
        """Stamp what is told: of one rule and site each later than the one before. Votes of other rules stay inside."""
        return [
            self._stamped(state, one, drill=drill)
            for one in found
            if one.rule not in self._untold and one.site in self._county.sites
        ]

    @staticmethod
    def _stamped(state: CountyState, found: Finding, *, drill: bool) -> Finding:
        told = state.told.setdefault(found.rule, {}).get(found.site)
        before = told.time if told is not None else state.floor
        time = found.time if before is None else max(found.time, before + _NEXT)
        told = told or Told(time, found.hazard)
        told.time, told.hazard = time, found.hazard
        if drill:
            told.drill = found.level
        else:
            told.real = found.level
        state.told[found.rule][found.site] = told
        evidence = msgspec.structs.replace(found.evidence, time=time)
        return msgspec.structs.replace(found, time=time, evidence=evidence, drill=drill)

    def _review(self, state: CountyState) -> list[Finding]:
        """Bring a state over that another catalogue or county was judged by."""
        state.edition = self._edition
        now = state.now
        if now is None:
            return []
        found = self._end_what_is_gone(state, now)
        for drill, world in ((False, state.real), (True, state.drill)):
            told = partial(_level, state, drill)
            self._review_fire(world, told)
            quiet = self._silence.review(world.silence, now, told)
            combined = self._compound.review(world.compound, of_findings(quiet), now, told)
            again = self._echo(world, of_findings(combined))
            found += self._tell(state, [*quiet, *combined, *again], drill=drill)
        return found

    def _review_fire(self, world: World, told: LastTold) -> None:
        """Fires go on; the rule as it is now judges them at their next sighting, or when their time has come."""
        if self._fire is None:
            world.fire = FireState()
            return
        world.fire.sites = {site: one for site, one in world.fire.sites.items() if site in self._county.sites}
        for site, one in world.fire.sites.items():
            one.level = told(self._fire.rule.id, site)

    def _judges(self, rule: str, site: str) -> bool:
        """Whether a rule is told of at a site."""
        if rule in self._compounds and not self._compound.judges(rule, site):
            return False
        return rule in self._hazards and site in self._county.sites

    def _end_what_is_gone(self, state: CountyState, now: datetime) -> list[Finding]:
        found: list[Finding] = []
        for name in sorted(state.told):
            for site, told in sorted(state.told[name].items()):
                if self._judges(name, site) and self._hazards[name] == told.hazard:
                    continue
                for drill, level in ((False, told.real), (True, told.drill)):
                    if level is not None:
                        over = _over(name, told.hazard, site, now)
                        found.append(self._stamped(state, over, drill=drill))
                state.floor = max(told.time, state.floor or told.time)
                del state.told[name][site]
        return found


def _take_time(state: CountyState, signal: Signal) -> datetime:
    """Move `now`; returns the time a signal is taken to have come from."""
    time = time_of(signal)
    if isinstance(signal, Tick):
        state.ticked = max(time, state.ticked or time)
    elif state.ticked is not None and not isinstance(signal, Spoke):
        time = min(time, state.ticked + MOST_AHEAD)
    state.now = max(time, state.now or time)
    return time


def _at(signal: Signal, time: datetime) -> Signal:
    """A signal as if it had come from `time`."""
    if time == time_of(signal):
        return signal
    match signal:
        case Sighting(detection):
            return Sighting(msgspec.structs.replace(detection, time=time))
        case Spoke():
            return signal
        case _:
            return msgspec.structs.replace(signal, time=time)


def _level(state: CountyState, drill: bool, rule: str, site: str) -> Level | None:
    told = state.told.get(rule, {}).get(site)
    if told is None:
        return None
    return told.drill if drill else told.real


def _over(rule: str, hazard: str, site: str, time: datetime) -> Finding:
    sentence = Words("规则或监测点已撤销，不再研判", "the rule or the site is no longer there to be judged")
    figure = Words("不再研判", "no longer judged")
    return Finding(rule, hazard, site, time, None, Evidence(rule, "", site, time, sentence, figure))


def _edition(catalogue: Catalogue, county: County) -> str:
    """Twelve digits that change with anything the judgement goes by."""
    digest = hashlib.sha256(catalogue.version.encode())
    for part in _described(county):
        digest.update(msgspec.json.encode(part))
    return digest.hexdigest()[:12]


def _described(county: County) -> Iterator[object]:
    yield from (county.sites[name] for name in sorted(county.sites))
    yield from (county.stations[name] for name in sorted(county.stations))
    yield from (county.divisions[name] for name in sorted(county.divisions))
