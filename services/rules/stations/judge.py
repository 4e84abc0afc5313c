"""The judgement of readings: what each batch changes at each site, and why. Pure: no clock, no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from services.rules.catalogue.model import Catalogue, CompoundRule, Condition
from services.rules.formulas import failure_time
from services.rules.stations import plan as plans
from services.rules.stations import weather
from services.rules.stations.evidence import Case, evidence
from services.rules.stations.plan import Judged, Plan
from services.rules.stations.table import Change, Packed, Table, bring_over
from services.rules.stations.told import Ints
from services.rules.stations.votes import SiteVotes, decide, decider, forget, hear
from services.rules.stations.weather import Sky
from tongluo.errors import WireError
from tongluo.finding import Evidence, Finding, Forecast, Level, rank
from tongluo.hazards import Words
from tongluo.quality import BAD_FLAGS, SUSPECT_FLAGS, Flag
from tongluo.readings import Readings, Series, moment
from tongluo.region import County, Purpose
from tongluo.signal import SiteLevel, Weather

# Neither counts: a value that is not believed at all, and one whose identity came before.
_UNCOUNTED: Final = int(BAD_FLAGS | Flag.DUPLICATE)
_SUSPECT: Final = int(SUSPECT_FLAGS)
_LATE: Final = int(Flag.LATE)


# A site, and whether in an exercise: what its stations say there counts apart.
Place = tuple[str, bool]


class Judgement(msgspec.Struct):
    """What readings led to: findings to be told; levels and noon weather for the county-wide judgement."""

    findings: list[Finding] = []
    levels: list[SiteLevel] = []
    weather: list[Weather] = []


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """All that is remembered, as a snapshot keeps it: with the catalogue that it was judged by."""

    catalogue: Catalogue
    tables: dict[str, Packed]
    votes: dict[str, dict[Place, SiteVotes]]
    sites: dict[str, str]
    skies: dict[str, Sky] = {}
    edition: Literal[1] = 1
    """Changes with what the words of a column mean."""


class StationJudge:
    """Judges the readings of many stations by the station rules of a catalogue.

    What it finds is a function of the readings in their order, however they are cut into batches. `county` gives names,
    thresholds and parameters; None judges any station by the rules' own lines.
    """

    def __init__(self, catalogue: Catalogue, county: County | None) -> None:
        self.catalogue = catalogue
        self._county = county
        self._plans = plans.plans(catalogue, county)
        self._tables = {metric: Table(plan, catalogue, county) for metric, plan in self._plans.items()}
        self._votes: dict[str, dict[Place, SiteVotes]] = {rule.id: {} for rule in catalogue.station_rules}
        self._sites: dict[str, str] = {}
        self._skies: dict[str, Sky] = {}
        self._weather_stations = weather.watched(county)
        self._listened = listened(catalogue)
        # What a change of rules has changed, told with the next readings.
        self._owed: list[tuple[Plan, Change]] = []
        self._ended: list[Finding] = []

    @property
    def stations(self) -> int:
        """How many series are remembered."""
        return sum(len(table.rows) for table in self._tables.values())

    def judge(self, readings: Readings) -> Judgement:
        """What these readings change, in the order in which they came."""
        told = Judgement(findings=self._ended)
        self._ended = []
        for plan, change in self._owed:
            self._hear(plan, change, (self._site(change.station), self._is_drill(change.station)), told)
        self._owed.clear()
        for nth, plan, change in sorted(self._changes(readings), key=lambda found: found[0]):
            site = self._sites[change.station] = readings.series[readings.which[nth]].site
            self._hear(plan, change, (site, self._is_drill(change.station)), told)
        told.weather += weather.observe(self._skies, self._weather_stations, readings)
        return told

    def _changes(self, readings: Readings) -> Iterator[tuple[int, Plan, Change]]:
        """Changes with the place of their reading; those of one reading stay in their order."""
        which, times = np.asarray(readings.which, np.int64), np.asarray(readings.time_us, np.int64)
        values = np.asarray(readings.value, np.float64)
        flags = (
            np.asarray(readings.flags, np.int64) if len(readings.flags) else np.zeros(len(which), np.int64)
        )
        for metric in dict.fromkeys([series.metric for series in readings.series]):
            table = self._tables.get(metric)
            if table is None:
                continue
            row = self._rows(table, readings.series)[which]
            nth = np.flatnonzero((row >= 0) & (flags & _UNCOUNTED == 0))
            if len(nth):
                of = flags[nth]
                found = table.judge(row[nth], times[nth], values[nth], of & _LATE, of & _SUSPECT)
                yield from ((int(nth[change.nth]), table.plan, change) for change in found)

    def _rows(self, table: Table, several: Sequence[Series]) -> Ints:
        """The row of each series in a table; -1 for those of other metrics."""
        metric, known = table.plan.metric, table.rows
        rows = [known.get(series.station, -1) if series.metric == metric else -1 for series in several]
        if -1 in rows:
            for nth, series in enumerate(several):
                if rows[nth] < 0 and series.metric == metric:
                    rows[nth] = table.row(series.station)
                    self._sites[series.station] = series.site
        return np.array(rows, np.int64)

    def _site(self, station: str) -> str:
        """Where a station stands now; one that is not registered, where it last was."""
        known = self._county.stations.get(station) if self._county is not None else None
        return known.site if known is not None else self._sites[station]

    def _is_drill(self, station: str) -> bool:
        known = self._county.stations.get(station) if self._county is not None else None
        return known is not None and known.purpose is Purpose.DRILL

    def _hear(self, plan: Plan, change: Change, place: Place, told: Judgement) -> None:
        """A station's change, and what it means for its site."""
        judged = plan.judged[change.judged]
        votes = self._votes[judged.rule.id].setdefault(place, SiteVotes())
        hear(votes, judged.item.id, change)
        level = decide(judged.rule, votes)
        if rank(level) == votes.level:
            return
        # Findings of one site follow each other in time, also when its stations' clocks do not agree.
        time_us = max(change.time_us, votes.told_us + 1)
        votes.level, votes.told_us = rank(level), time_us
        self._tell(plan, change, place, level, votes, told)

    def _tell(
        self, plan: Plan, change: Change, place: Place, level: Level | None, votes: SiteVotes, told: Judgement
    ) -> None:
        rule, (site, drill) = plan.judged[change.judged].rule, place
        why = decider(votes, level, change)
        its_plan = self._plans[why.metric]
        judged = its_plan.judged[why.judged]
        time = moment(votes.told_us)
        case = Case(its_plan, why, level, time, votes)
        because = evidence(case, self._county, self._forecast(its_plan, judged, why))
        if rule.tell:
            told.findings.append(Finding(rule.id, rule.hazard, site, time, level, because, drill))
        if rule.id in self._listened:
            told.levels.append(SiteLevel(rule.id, site, time, level, because.figure, drill))

    def _forecast(self, plan: Plan, judged: Judged, change: Change) -> Forecast | None:
        """When a slope may fail, by all readings held of it."""
        if not judged.item.forecast or not change.level:
            return None
        times, values = self._tables[plan.metric].history(change.station)
        upto = times <= change.time_us
        return failure_time.forecast(times[upto], values[upto])

    # -- keeping, and other rules

    def pack(self) -> bytes:
        """All that is remembered."""
        tables = {metric: table.pack() for metric, table in self._tables.items() if table.rows}
        return _encoder.encode(Kept(self.catalogue, tables, self._votes, self._sites, self._skies))

    @classmethod
    def unpack(cls, packed: bytes, catalogue: Catalogue, county: County | None) -> "StationJudge":
        """As it was when packed; under another catalogue, brought over to it. Raises WireError if it cannot be read."""
        try:
            kept = _decoder.decode(packed)
        except msgspec.DecodeError as error:
            raise WireError(str(error)) from error
        before = cls(kept.catalogue, county)
        for metric, table in kept.tables.items():
            if before._tables[metric].shape == table.shape:
                before._tables[metric].unpack(table)
        before._votes.update(kept.votes)
        before._sites, before._skies = kept.sites, kept.skies
        return before.under(catalogue, county)

    def under(self, catalogue: Catalogue, county: County | None) -> "StationJudge":
        """The same memory under the rules, thresholds and stations that are now."""
        after = StationJudge(catalogue, county)
        after._sites, after._skies = self._sites, self._skies
        for metric, table in after._tables.items():
            before = self._tables.get(metric)
            if before is None:
                continue
            if before.shape == table.shape:
                before.register(catalogue, county)
                after._tables[metric] = before
            else:
                after._owed += [(table.plan, change) for change in bring_over(table, before)]
        changed = {metric for metric, table in after._tables.items() if table is not self._tables.get(metric)}
        for rule, places in self._votes.items():
            kept = next((one for one in catalogue.station_rules if one.id == rule), None)
            if kept is not None:
                items = {item.id for item in kept.items}
                after._votes[rule] = {place: forget(votes, items, changed) for place, votes in places.items()}
            else:
                after._ended += [
                    self._end(rule, place, votes) for place, votes in places.items() if votes.level
                ]
        return after

    def _end(self, rule_id: str, place: Place, votes: SiteVotes) -> Finding:
        """The level of a rule that is no longer in the catalogue is given up."""
        rule = next(one for one in self.catalogue.station_rules if one.id == rule_id)
        time, (site, drill) = moment(votes.told_us + 1), place
        words = Words(
            f"规则{rule.name.zh}已停用，预警随之解除。", f"The rule {rule.name.en} is no longer in force."
        )
        because = Evidence(rule.id, rule.version, site, time, words, Words("", ""), source=rule.source)
        return Finding(rule.id, rule.hazard, site, time, None, because, drill)


def listened(catalogue: Catalogue) -> frozenset[str]:
    """The rules whose levels the county-wide judgement wants to know."""
    grave = catalogue.silence.grave if catalogue.silence is not None else ()
    return frozenset(grave) | {one.rule for rule in catalogue.compound for one in conditions(rule)}


def conditions(rule: CompoundRule) -> Iterator[Condition]:
    """Every condition of a compound rule, however deep."""

    def within(parts: Iterable[object]) -> Iterator[Condition]:
        for part in parts:
            if isinstance(part, Condition):
                yield part
            else:
                yield from within(part.of)  # type: ignore[attr-defined]

    for line in rule.lines:
        yield from within(line.when.of)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Kept)
