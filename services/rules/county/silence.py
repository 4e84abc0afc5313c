"""The silence rule: a station that says nothing, and what goes on around it. Pure."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue, SilenceRule
from services.rules.county import silence_words
from services.rules.county.levels import Levels, hear, knows, review
from services.rules.county.near import Nearness
from tongluo.finding import Finding, Level, of_rank, rank
from tongluo.liveness import LEAST_SILENCE, Cause, EventKind, StationEvent
from tongluo.region import County, Purpose
from tongluo.signal import Signal, SiteLevel, Spoke

Told = Callable[[str, str], Level | None]
"""The level last told of a rule at a site."""

# When the whole county was silent and somebody speaks again, the others have this many of their intervals to follow.
INTERVALS_TO_FOLLOW: Final = 2


class Silent(msgspec.Struct):
    """A station that was called silent at `since`; `last` is when it was heard before."""

    since: datetime
    last: datetime | None
    cause: Cause


class SilenceState(msgspec.Struct):
    """What is remembered: at most one entry a station and a site.

    `newest` is the time of each station's newest event, `followed` when somebody spoke again after the whole county was
    silent, `blind_at` the site at which that is told, `reached` the newest moment that was judged.
    """

    levels: Levels = msgspec.field(default_factory=Levels)
    silent: dict[str, Silent] = {}
    newest: dict[str, datetime] = {}
    followed: datetime | None = None
    blind_at: str = ""
    found: dict[str, Level] = {}
    reached: datetime | None = None


class SilenceJudge:
    """Applies the rule, and remembers who is silent also while there is none.

    A silent station's level, and with it its site's (the worst of its silent stations):

    - `alone` in quiet weather; with `alone` None nothing is found of it, however long it lasts.
    - While any of the `grave` rules stands at `grave_from` or above at its own site or within `within_km`: at least one
      level above `alone`, and at least one below the gravest of them.
    - After `worse_after` since it was called silent, one level more; never above red.

    A silent gauge adds concern and takes none away: what the grave rules themselves hold is not touched here (a station
    rule does not lower its level for want of readings), and when they give up their levels, what the silence added goes
    with them, down to what quiet weather says.

    When the whole county is silent (Cause.COUNTY_SILENT), the centre is blind rather than sixty gauges broken: all of it
    is one finding, at the site of the first station that was told so, judged by the same levels with grave rules counted
    wherever they stand. It ends when the last of those stations speaks. Those that have not followed within
    INTERVALS_TO_FOLLOW of their intervals (LEAST_SILENCE at least) after the first one spoke are silent by themselves.
    """

    def __init__(self, catalogue: Catalogue, county: County) -> None:
        self._catalogue = catalogue
        self._county = county
        self._rule = catalogue.silence
        self._knows = knows(catalogue, county)
        self._near = Nearness(county)

    def judge(self, state: SilenceState, signal: Signal) -> list[Finding]:
        """What a signal changes, at its own time; signals that came before are judged with all that is known now."""
        match signal:
            case Spoke(event) if self._take(state, event):
                return self._evaluate(state, event.time)
            case SiteLevel() if hear(state.levels, signal, self._knows) and self._is_grave(signal.rule):
                return self._evaluate(state, signal.time)
        return []

    def pass_time(self, state: SilenceState, now: datetime) -> list[Finding]:
        """What has changed because it is `now`."""
        return self._evaluate(state, now)

    def due(self, state: SilenceState) -> datetime | None:
        """When passing time would next change something."""
        rule, reached = self._rule, state.reached
        if rule is None or reached is None:
            return None
        times = [silent.since + rule.worse_after for silent in state.silent.values()]
        if state.followed is not None:
            times += [self._follows_until(state.followed, name) for name in self._unheard(state)]
        return min((time for time in times if time > reached), default=None)

    def review(self, state: SilenceState, now: datetime, told: Told) -> list[Finding]:
        """After a change of catalogue or registry: forget what is gone, judge the rest anew.

        `told` is what people know; what differs from it is found.
        """
        review(state.levels, self._knows)
        state.silent = {name: one for name, one in state.silent.items() if name in self._county.stations}
        state.newest = {name: time for name, time in state.newest.items() if name in self._county.stations}
        if self._rule is None:
            state.found = {}
            return []
        levels = {site: told(self._rule.id, site) for site in self._county.sites}
        state.found = {site: level for site, level in levels.items() if level is not None}
        return self._evaluate(state, now)

    def _is_grave(self, rule: str) -> bool:
        return self._rule is not None and rule in self._rule.grave

    def _site(self, station: str) -> str:
        return self._county.stations[station].site

    def _take(self, state: SilenceState, event: StationEvent) -> bool:
        """Whether an event says something new: it may come twice, and of a station that is gone."""
        known = state.newest.get(event.station)
        station = self._county.stations.get(event.station)
        if station is None or station.purpose is Purpose.DRILL or (known is not None and event.time <= known):
            return False
        state.newest[event.station] = event.time
        if event.kind is EventKind.SPEAKING_AGAIN:
            state.silent.pop(event.station, None)
            state.followed = state.followed or event.time
        else:
            cause = event.cause or Cause.UNCLEAR
            state.silent[event.station] = Silent(event.time, event.last, cause)
            if cause is Cause.COUNTY_SILENT:
                state.followed = None
                state.blind_at = state.blind_at or self._site(event.station)
        if not self._unheard(state):
            state.followed = None
        return True

    @staticmethod
    def _unheard(state: SilenceState) -> list[str]:
        """The stations that fell silent with the whole county, by name."""
        return [name for name, one in sorted(state.silent.items()) if one.cause is Cause.COUNTY_SILENT]

    def _follows_until(self, followed: datetime, name: str) -> datetime:
        patience = INTERVALS_TO_FOLLOW * timedelta(seconds=self._county.stations[name].interval_s)
        return followed + max(patience, LEAST_SILENCE)

    def _blind(self, state: SilenceState, moment: datetime) -> list[str]:
        """The stations that are silent with the whole county, rather than by themselves, by name."""
        unheard, followed = self._unheard(state), state.followed
        if followed is None:
            return unheard
        return [name for name in unheard if moment < self._follows_until(followed, name)]

    def _evaluate(self, state: SilenceState, time: datetime) -> list[Finding]:
        state.reached = max(state.reached or time, time)
        rule = self._rule
        if rule is None:
            return []
        scenes = {scene.site: scene for scene in self._scenes(rule, state, state.reached)}
        changed = [
            site
            for site in sorted(state.found.keys() | scenes.keys())
            if state.found.get(site) is not (scenes[site].level if site in scenes else None)
        ]
        for site in changed:
            if site in scenes and (level := scenes[site].level) is not None:
                state.found[site] = level
            else:
                del state.found[site]
        return [
            silence_words.finding(rule, self._county, scenes.get(site) or silence_words.Scene(site), time)
            for site in changed
        ]

    def _scenes(
        self, rule: SilenceRule, state: SilenceState, moment: datetime
    ) -> Iterator[silence_words.Scene]:
        """What is silent at each site, and how grave it is."""
        graves = list(self._graves(rule, state))
        blind = self._blind(state, moment)
        if not blind:
            state.blind_at = ""
        elif state.blind_at not in self._county.sites:
            state.blind_at = self._site(blind[0])
        by_site: dict[str, list[str]] = {}
        for name in sorted(state.silent.keys() - set(blind)):
            by_site.setdefault(self._site(name), []).append(name)
        for site in sorted(by_site.keys() | ({state.blind_at} if blind else set())):
            around = frozenset(self._near.within(site, rule.within_km)) if site in by_site else frozenset()
            local = [grave for grave in graves if grave.site in around]
            gravest = _gravest(local)
            said = [self._said(rule, state, moment, name, gravest) for name in by_site.get(site, [])]
            if blind and site == state.blind_at:
                gravest = _gravest(graves)
                alike = [self._said(rule, state, moment, name, gravest) for name in blind]
                said += [msgspec.structs.replace(one, blind=True) for one in alike]
            said.sort(key=lambda one: (-rank(one.level), one.station.id))
            yield silence_words.Scene(site, tuple(said), gravest)

    def _said(
        self,
        rule: SilenceRule,
        state: SilenceState,
        moment: datetime,
        name: str,
        gravest: silence_words.Grave | None,
    ) -> silence_words.Said:
        silent = state.silent[name]
        long = silent.since + rule.worse_after <= moment
        level = concern(rule, gravest.level if gravest is not None else None, long=long)
        return silence_words.Said(self._county.stations[name], silent.since, silent.last, silent.cause, level)

    def _graves(self, rule: SilenceRule, state: SilenceState) -> Iterator[silence_words.Grave]:
        for name in rule.grave:
            of = self._catalogue.rule(name)
            for site, held in state.levels.held.get(name, {}).items():
                if held.level >= rule.grave_from and of is not None:
                    yield silence_words.Grave(site, of.name, held.level)


def concern(rule: SilenceRule, gravest: Level | None, *, long: bool) -> Level | None:
    """A silent station's level: `gravest` of what stands around it, `long` after `worse_after` (see SilenceJudge)."""
    number = rank(rule.alone)
    if gravest is not None:
        number = max(number + 1, gravest.rank - 1)
    if number == 0:
        return None
    return of_rank(min(number + long, Level.RED.rank))


def _gravest(graves: Iterable[silence_words.Grave]) -> silence_words.Grave | None:
    return min(graves, key=lambda grave: (-grave.level.rank, grave.site, grave.name.en), default=None)
