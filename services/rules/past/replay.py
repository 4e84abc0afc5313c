"""Both judgements over history, in event time: every change of level that the rules would have found."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue
from services.rules.county.judge import CountyJudge, CountyState
from services.rules.stations.judge import StationJudge
from tongluo.errors import TongluoError
from tongluo.finding import Finding, Level
from tongluo.readings import Readings
from tongluo.region import County
from tongluo.signal import Signal, SiteLevel, Spoke, Tick, Weather, time_of

#: A rule that changes its mind more often than this cannot be read about, and would fill the memory. So many noons of
#: weather stations are more than a province has in a year.
MOST_CHANGES: Final = 300_000


class TooMuch(TongluoError):
    """More was found than anybody can look through."""


class LevelChange(msgspec.Struct, frozen=True):
    """A rule's level at a site went from `before` to what `finding` says."""

    before: Level | None
    finding: Finding

    @property
    def rule(self) -> str:
        return self.finding.rule

    @property
    def site(self) -> str:
        return self.finding.site

    @property
    def time(self) -> datetime:
        return self.finding.time

    @property
    def level(self) -> Level | None:
        return self.finding.level


class Replay:
    """One catalogue over one history: `feed` readings in event-time order, `finish` once.

    What it finds is a function of the catalogue, the county, the readings in their order and the signals; into which
    batches the readings were cut changes nothing. The county-wide rules hear the levels of all sites in the order of
    their event times, each after a Tick of its own time, so that what waits for time has ended by then.
    """

    def __init__(self, catalogue: Catalogue, county: County) -> None:
        self._stations = StationJudge(catalogue, county)
        self._county = CountyJudge(catalogue, county)
        self._findings: list[Finding] = []
        self._signals: list[SiteLevel | Weather] = []

    def feed(self, readings: Readings) -> None:
        """Judge the next readings. Raises TooMuch."""
        judged = self._stations.judge(readings)
        self._keep(judged.findings)
        self._signals += [*judged.levels, *judged.weather]
        if len(self._signals) > MOST_CHANGES:
            raise _too_much()

    def finish(self, signals: Iterable[Signal], until: datetime) -> list[LevelChange]:
        """All that was found, in order of time, up to `until`; `signals` are sightings and silences. Raises TooMuch."""
        state = CountyState()
        for signal in sorted((*self._signals, *signals), key=_order):
            self._keep(self._county.judge(state, Tick(time_of(signal))))
            self._keep(self._county.judge(state, signal))
        self._keep(self._county.judge(state, Tick(until)))
        return list(changes(one for one in self._findings if one.time <= until))

    def _keep(self, findings: list[Finding]) -> None:
        self._findings += findings
        if len(self._findings) > MOST_CHANGES:
            raise _too_much()


def run(
    catalogue: Catalogue,
    county: County,
    readings: Iterable[Readings],
    until: datetime,
    signals: Iterable[Signal] = (),
) -> list[LevelChange]:
    """What the rules would have found of these readings, in order of time. Raises TooMuch."""
    replay = Replay(catalogue, county)
    for batch in readings:
        replay.feed(batch)
    return replay.finish(signals, until)


def changes(findings: Iterable[Finding]) -> Iterator[LevelChange]:
    """Findings in order of time, each with the level before; one that changes none is left out."""
    held: dict[tuple[str, str], Level | None] = {}
    for finding in sorted(findings, key=lambda one: (one.time, one.rule, one.site)):
        course = finding.rule, finding.site
        before = held.get(course)
        if finding.level is not before:
            held[course] = finding.level
            yield LevelChange(before, finding)


def _order(signal: Signal) -> tuple[datetime, str, str]:
    """By time. At the same moment silences come first, then levels by rule and site: as good as any, and always the same."""
    match signal:
        case Spoke(event):
            return event.time, "", event.id
        case SiteLevel():
            return signal.time, signal.rule, signal.site
        case _:
            return time_of(signal), "~", msgspec.json.encode(signal).decode()


def _too_much() -> TooMuch:
    return TooMuch(
        f"the rules change level more than {MOST_CHANGES} times in this history: look at the release lines of the rule, "
        "or replay less of it (--from, --to)"
    )
