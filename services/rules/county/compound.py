"""Compound rules: levels of other rules, here and elsewhere, combined. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from graphlib import TopologicalSorter

import msgspec

from services.rules.catalogue.model import Catalogue, CompoundRule
from services.rules.county import compound_words
from services.rules.county.levels import Levels, hear, knows, of_findings, review
from services.rules.county.scope import Scope, conditions
from services.rules.county.silence import Told
from tongluo.finding import Finding, Level, rank
from tongluo.region import County
from tongluo.signal import Signal, SiteLevel


class Standing(msgspec.Struct):
    """What a rule holds at a site: each level, with the time since which its lines hold no longer (None: they hold).

    `found` is the level last found, `next` when this must be looked at again though nothing comes.
    """

    found: Level | None = None
    held: dict[Level, datetime | None] = {}
    next: datetime | None = None


class CompoundState(msgspec.Struct):
    """What is remembered: the levels heard, and what stands by rule and site. `reached` is the newest moment judged."""

    levels: Levels = msgspec.field(default_factory=Levels)
    standing: dict[str, dict[str, Standing]] = {}
    reached: datetime | None = None


class _Dirty:
    """What must be looked at, by the rules' order, and the time of what made it so."""

    def __init__(self, rules: int) -> None:
        self._sites: list[dict[str, datetime]] = [{} for _ in range(rules)]

    def mark(self, order: int, site: str, time: datetime) -> None:
        known = self._sites[order].get(site)
        self._sites[order][site] = time if known is None else max(known, time)

    def of(self, order: int) -> list[tuple[str, datetime]]:
        return sorted(self._sites[order].items())


class CompoundJudge:
    """Applies every compound rule; those that look at others come after them (graphlib.CycleError if none can be first).

    A line holds from the moment that Scope.since tells: a level that is reached at 8:00 with a hold of an hour counts
    from 9:00, whenever somebody looked. A level is given up `release_after` after the moment its lines ceased to hold,
    unless they hold again before; the site is at the highest level that is held.
    """

    def __init__(self, catalogue: Catalogue, county: County) -> None:
        self._catalogue = catalogue
        self._county = county
        self._knows = knows(catalogue, county)
        self._scope = Scope(catalogue, county)
        self._rules = _in_order(catalogue.compound)
        self._judged = [self._scope.judged(rule) for rule in self._rules]
        self._pairs = frozenset(
            (rule.id, site) for rule, sites in zip(self._rules, self._judged, strict=True) for site in sites
        )
        self._watchers = self._who_looks()

    def judges(self, rule: str, site: str) -> bool:
        """Whether a compound rule judges a site."""
        return (rule, site) in self._pairs

    def judge(self, state: CompoundState, signal: Signal) -> list[Finding]:
        """What a signal changes, at its own time."""
        return self.hear(state, [signal], None) if isinstance(signal, SiteLevel) else []

    def pass_time(self, state: CompoundState, now: datetime) -> list[Finding]:
        """What has changed because it is `now`."""
        return self.hear(state, [], now)

    def hear(self, state: CompoundState, signals: Sequence[Signal], now: datetime | None) -> list[Finding]:
        """What levels that came together change, and time's passing to `now`: one finding where they agree."""
        dirty = _Dirty(len(self._rules))
        times = [now] if now is not None else []
        for signal in signals:
            if isinstance(signal, SiteLevel):
                times.append(signal.time)
                if hear(state.levels, signal, self._knows):
                    self._mark(dirty, signal)
        if not times:
            return []
        reached = state.reached = max(*times, state.reached or times[0])
        for order, rule in enumerate(self._rules):
            for site, standing in state.standing.get(rule.id, {}).items():
                if standing.next is not None and standing.next <= reached:
                    dirty.mark(order, site, standing.next)
        return self._settle(state, dirty, reached, None)

    def due(self, state: CompoundState) -> datetime | None:
        """When passing time would next change something."""
        every = (one.next for sites in state.standing.values() for one in sites.values())
        return min((time for time in every if time is not None), default=None)

    def review(
        self, state: CompoundState, signals: Sequence[Signal], now: datetime, told: Told
    ) -> list[Finding]:
        """After a change of catalogue or registry: forget what is gone, judge the rest anew as of `now`.

        `signals` are levels that others found meanwhile. `told` is what people know; what differs from it is found.
        Levels that the new rule's lines do not hold are given up after its `release_after`.
        """
        review(state.levels, self._knows)
        for signal in signals:
            if isinstance(signal, SiteLevel):
                hear(state.levels, signal, self._knows)
        self._drop_gone(state)
        state.reached = max(now, state.reached or now)
        dirty = _Dirty(len(self._rules))
        for order, rule in enumerate(self._rules):
            for site in self._judged[order]:
                dirty.mark(order, site, now)
                if rule.tell:
                    self._recall(state, rule, site, told(rule.id, site))
        return self._settle(state, dirty, state.reached, now)

    @staticmethod
    def _recall(state: CompoundState, rule: CompoundRule, site: str, level: Level | None) -> None:
        standing = state.standing.get(rule.id, {}).get(site)
        if standing is not None:
            standing.found = level
        elif level is not None:
            state.standing.setdefault(rule.id, {})[site] = Standing(level, {level: None})

    def _drop_gone(self, state: CompoundState) -> None:
        names = [rule.id for rule in self._rules]
        state.standing = {
            name: {site: one for site, one in state.standing[name].items() if self.judges(name, site)}
            for name in names
            if name in state.standing
        }
        for name in names:
            held = state.levels.held.get(name, {})
            for site in [site for site in held if not self.judges(name, site)]:
                del held[site]

    def _who_looks(self) -> dict[tuple[str, str], list[tuple[int, str]]]:
        """By rule and site, which rule at which site looks at it."""
        found: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for order, rule in enumerate(self._rules):
            asked = [one for line in rule.lines for one in conditions(line.when)]
            for site in self._judged[order]:
                seen = {(one.rule, name) for one in asked for name in self._scope.sites(one, site)}
                for key in seen:
                    found.setdefault(key, []).append((order, site))
        return found

    def _mark(self, dirty: _Dirty, changed: SiteLevel) -> None:
        for order, site in self._watchers.get((changed.rule, changed.site), ()):
            dirty.mark(order, site, changed.time)

    def _settle(
        self, state: CompoundState, dirty: _Dirty, moment: datetime, earliest: datetime | None
    ) -> list[Finding]:
        """Look at all that is marked, and at what that changes in turn: never an earlier rule."""
        found: list[Finding] = []
        for order, rule in enumerate(self._rules):
            for site, time in dirty.of(order):
                finding = self._look(state, rule, site, _Times(moment, time, earliest))
                if finding is None:
                    continue
                found.append(finding)
                [level] = of_findings([finding])
                hear(state.levels, level, self._knows)
                self._mark(dirty, level)
        return found

    def _look(self, state: CompoundState, rule: CompoundRule, site: str, times: "_Times") -> Finding | None:
        """The change of level of one rule at one site, if it has changed."""
        of_rule = state.standing.setdefault(rule.id, {})
        standing = of_rule.setdefault(site, Standing())
        since = self._since(state, rule, site)
        ended = _hold(standing, rule, since, times)
        before, level = standing.found, max(standing.held, default=None)
        standing.found = level
        if level is None and standing.next is None:
            del of_rule[site]
        if level is before:
            return None
        if rank(level) > rank(before) and level is not None:
            time = since.get(level, times.caused)
        else:
            time = ended.get(before, times.caused) if before is not None else times.caused
        if times.earliest is not None:
            time = max(time, times.earliest)
        told = compound_words.Change(rule, site, before, level, time, times.moment)
        return compound_words.finding(self._catalogue, self._county, self._scope, state.levels, told)

    def _since(self, state: CompoundState, rule: CompoundRule, site: str) -> dict[Level, datetime]:
        """From when on each level's lines hold; without those that do not."""
        found: dict[Level, datetime] = {}
        for line in rule.lines:
            time = self._scope.since(line.when, site, state.levels)
            if time is not None:
                found[line.level] = min(time, found.get(line.level, time))
        return found


class _Times(msgspec.Struct, frozen=True):
    """The moment things are judged as of, the time of what caused it, and the earliest a finding may say."""

    moment: datetime
    caused: datetime
    earliest: datetime | None


def _hold(
    standing: Standing, rule: CompoundRule, since: dict[Level, datetime], times: _Times
) -> dict[Level, datetime]:
    """Take up the levels that hold, give up those whose time has run out; returns when these ended."""
    ended: dict[Level, datetime] = {}
    ahead = [time for time in since.values() if time > times.moment]
    for level in Level:
        if level in since and since[level] <= times.moment:
            standing.held[level] = None
        elif level in standing.held:
            lost = standing.held[level] or times.caused
            standing.held[level] = lost
            if lost + rule.release_after > times.moment:
                ahead.append(lost + rule.release_after)
            else:
                ended[level] = lost + rule.release_after
                del standing.held[level]
    standing.next = min(ahead, default=None)
    return ended


def _in_order(rules: Iterable[CompoundRule]) -> list[CompoundRule]:
    """Each after those it looks at; otherwise as they come."""
    by_name = {rule.id: rule for rule in rules}
    graph = {name: [one for one in _looked_at(rule) if one in by_name] for name, rule in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def _looked_at(rule: CompoundRule) -> Iterator[str]:
    return (one.rule for line in rule.lines for one in conditions(line.when))
