"""Rainstorm levels from rolling rain sums: pure judgement, one reading at a time."""

from typing import Final

import msgspec

from services.rules.catalogue import RainRule
from services.rules.windows import RollingSums
from tongluo.duration import microseconds
from tongluo.finding import Criterion, Evidence, Finding, Level, rank
from tongluo.quality import Flag, Quality
from tongluo.reading import Reading
from tongluo.readings import microseconds as since_epoch_us
from tongluo.readings import moment

# Rain is summed in thousandths of a millimetre: finer than any gauge, and exact.
UNITS_PER_MM: Final = 1000


class Trigger(msgspec.Struct):
    """One criterion's memory: a threshold on the way up, a lower one and a time of calm on the way down."""

    held: bool = False
    calm_since: int | None = None


class StationRain(msgspec.Struct):
    """What is remembered of one gauge; one trigger for each criterion of the rule."""

    sums: RollingSums
    triggers: list[Trigger]


class SiteRain(msgspec.Struct):
    """What is remembered of one site: its gauges, the level last found and when (microseconds)."""

    stations: dict[str, StationRain]
    level: Level | None = None
    told: int = 0
    rule_version: str = ""


class RainstormJudge:
    """Applies one rule. `judge` changes the state it is given and returns what it found; no clock, no I/O."""

    def __init__(self, rule: RainRule) -> None:
        self.rule = rule
        self._windows = tuple(rule.windows)
        self._spans = tuple(microseconds(span) for span in rule.windows.values())
        self._after = microseconds(rule.release_after)
        self._criteria = [
            (
                self._windows.index(c.window),
                round(c.reach_mm * UNITS_PER_MM),
                round(c.release_mm * UNITS_PER_MM),
            )
            for c in rule.criteria
        ]

    def new_site(self) -> SiteRain:
        return SiteRain({}, rule_version=self.rule.version)

    def judge(self, site: SiteRain, reading: Reading) -> list[Finding]:
        """The changes of level this reading brings: none, one, or a fall followed by a rise.

        Rain stops being counted when its window has passed, also in a silence between two readings: a level that ran
        out before this reading is given up at its own time, even if the reading itself brings it back.
        """
        if reading.metric != self.rule.metric or reading.quality is not Quality.GOOD:
            return []
        station = self._station(site, reading.station)
        time = since_epoch_us(reading.time)
        if reading.flags & Flag.LATE:
            # Back-fill counts toward what the next reading in time will find, and raises nothing for the past.
            station.sums.add(time, round(reading.value * UNITS_PER_MM))
            return []
        fallen = self._fall_in_silence(site, station, reading, time)
        if not station.sums.add(time, round(reading.value * UNITS_PER_MM)):
            return []
        newest = station.sums.times[-1]
        self._update(station, newest)
        level = self._level(site)
        found: list[Finding] = []
        if fallen is not None and rank(level) > rank(fallen.level):
            found.append(self._tell(site, fallen))
        if level is not site.level:
            found.append(self._tell(site, self._finding(site, reading, level, newest)))
        return found

    def _fall_in_silence(
        self, site: SiteRain, station: StationRain, reading: Reading, time: int
    ) -> Finding | None:
        """The fall of level that came before this reading, while the gauge had nothing to say."""
        if station.sums.newest is None or time <= station.sums.newest:
            return None
        moment = self._run_out(station, time)
        if moment is None or self._level(site) is site.level:
            return None
        station.sums.advance(moment)
        return self._finding(site, reading, self._level(site), moment)

    @staticmethod
    def _tell(site: SiteRain, finding: Finding) -> Finding:
        """Findings of one site follow each other in time, also when its gauges' clocks do not agree."""
        time = max(since_epoch_us(finding.time), site.told + 1)
        site.told, site.level = time, finding.level
        return msgspec.structs.replace(finding, time=moment(time))

    def _station(self, site: SiteRain, name: str) -> StationRain:
        """The gauge's memory; when the rule has changed, that of the whole site is brought over first."""
        if site.rule_version != self.rule.version:
            site.stations = {known: self._brought_over(old) for known, old in site.stations.items()}
            site.rule_version = self.rule.version
        if name not in site.stations:
            site.stations[name] = self._new_station()
        return site.stations[name]

    def _new_station(self) -> StationRain:
        sums = RollingSums(self._spans, microseconds(self.rule.late_allowed))
        return StationRain(sums, [Trigger() for _ in self._criteria])

    def _brought_over(self, old: StationRain) -> StationRain:
        """A gauge's memory as if this rule had judged the readings that are still held.

        Levels that hold stay held, so that a change of rule gives no all-clear in the middle of a storm.
        """
        new = self._new_station()
        for time, amount in zip(old.sums.times, old.sums.amounts, strict=True):
            self._run_out(new, time)
            new.sums.add(time, amount)
            self._update(new, time)
        return new

    def _run_out(self, station: StationRain, time: int) -> int | None:
        """Release what the silence before `time` has ended; the latest moment at which something was released."""
        released: int | None = None
        for trigger, (nth, _, release) in zip(station.triggers, self._criteria, strict=True):
            if not trigger.held:
                continue
            if trigger.calm_since is None:
                trigger.calm_since = station.sums.fell_below(nth, release, time)
            if trigger.calm_since is not None and trigger.calm_since + self._after < time:
                moment = trigger.calm_since + self._after
                released = moment if released is None else max(released, moment)
                trigger.held, trigger.calm_since = False, None
        return released

    def _update(self, station: StationRain, time: int) -> None:
        """Bring the triggers to the sums as they are at `time`."""
        for trigger, (nth, reach, release) in zip(station.triggers, self._criteria, strict=True):
            total = station.sums.sums[nth]
            if total >= reach:
                trigger.held, trigger.calm_since = True, None
            elif total >= release or not trigger.held:
                trigger.calm_since = None
            elif trigger.calm_since is None:
                trigger.calm_since = time
            if trigger.calm_since is not None and time - trigger.calm_since >= self._after:
                trigger.held, trigger.calm_since = False, None

    def _level(self, site: SiteRain) -> Level | None:
        """The highest level any criterion holds at any gauge of the site."""
        held = [
            criterion.level
            for station in site.stations.values()
            for trigger, criterion in zip(station.triggers, self.rule.criteria, strict=True)
            if trigger.held
        ]
        return max(held, default=None)

    def _finding(self, site: SiteRain, reading: Reading, level: Level | None, at: int) -> Finding:
        time = moment(at)
        name = self._witness(site, level) or reading.station
        station = site.stations[name]
        criterion = next((c for c, t in zip(self.rule.criteria, station.triggers, strict=True)
                          if t.held and c.level is level), None)  # fmt: skip
        return Finding(
            rule=self.rule.id,
            hazard=self.rule.hazard,
            site=reading.site,
            time=time,
            level=level,
            evidence=Evidence(
                rule=self.rule.id,
                rule_version=self.rule.version,
                station=name,
                time=time,
                indicators_mm={
                    window: total / UNITS_PER_MM
                    for window, total in zip(self._windows, station.sums.sums, strict=True)
                },
                criterion=Criterion(criterion.level, criterion.window, criterion.reach_mm)
                if criterion
                else None,
            ),
        )

    def _witness(self, site: SiteRain, level: Level | None) -> str | None:
        """The gauge that holds `level`; by name where several do, so that the answer is always the same."""
        for name in sorted(site.stations):
            for trigger, criterion in zip(site.stations[name].triggers, self.rule.criteria, strict=True):
                if trigger.held and criterion.level is level:
                    return name
        return None
