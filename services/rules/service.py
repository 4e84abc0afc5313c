"""The rules role: readings from the log, findings to the log, state and place in one commit."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from services.rules import groups
from services.rules.catalogue.model import Catalogue
from services.rules.runner import ADVANCE_EVERY_S, SNAPSHOT_EVERY, Place, Runner
from services.rules.stations.judge import Judgement, StationJudge
from services.rules.stations.warm import warm
from tongluo import wire
from tongluo.errors import WireError
from tongluo.log.port import Entry, Log, Stored
from tongluo.readings import moment
from tongluo.region import County
from tongluo.signal import SiteLevel, Tick, Weather
from tongluo.supervise import Pulse
from tongluo.topics import COUNTY_KEY, FINDINGS, READINGS, SHADOW, SIGNALS, Topic

logger = logging.getLogger(__name__)

GROUP: Final = groups.STATIONS
# A snapshot holds every station of its partition: it is made no oftener than after so many readings of each.
READINGS_EACH: Final = 10
TICK_EVERY_US: Final = 300_000_000
LOOK_EVERY_S: Final = 1.0
NO_RULES: Final = Catalogue("", ())


class Output(msgspec.Struct, frozen=True):
    """Who judges, and where it goes: findings to a topic; levels to the county-wide judgement, or nowhere.

    `ticks`: with them, from time to time, what time it is by the readings, where no clock says it (replay mode).
    """

    group: str
    findings: Topic
    signals: Topic | None
    ticks: bool = False


TOLD: Final = Output(GROUP, FINDINGS, SIGNALS)
TOLD_WITH_TIME: Final = Output(GROUP, FINDINGS, SIGNALS, ticks=True)
# Nobody is told: what a shadow run finds is for comparison.
UNTOLD: Final = Output(groups.SHADOW, SHADOW, None)


class Held:
    """A partition's judge; another one, of the same memory, when rules or registry have changed."""

    def __init__(self, judge: StationJudge, county: County | None) -> None:
        self.judge = judge
        self.county = county
        self.ticked_us = 0


class StationWork:
    """What the runner runs: a partition's state is a StationJudge. `catalogue` and `county` give what is in force now."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        county: Callable[[], County | None],
        output: Output = TOLD,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self._catalogue = catalogue
        self._county = county
        self._output = output
        self._snapshot_every = snapshot_every

    def restore(self, snapshot: bytes | None) -> Held:
        """As the runner asks."""
        catalogue, county = self._catalogue(), self._county()
        if snapshot is None:
            return Held(StationJudge(catalogue, county), county)
        return Held(StationJudge.unpack(snapshot, catalogue, county), county)

    def judge(self, state: Held, entry: Stored) -> tuple[list[Entry], int]:
        """As the runner asks; the weight is in readings, made small where a snapshot is large."""
        try:
            readings = wire.READINGS.decode(entry.value)
        except WireError as error:
            # The recorder sets it aside for people to see.
            logger.error("entry %d of partition %d is not judged: %s", entry.offset, entry.partition, error)
            return [], 0
        renewed = self._renew(state)
        outputs = self._entries(state.judge.judge(readings))
        if self._output.ticks and len(readings):
            outputs += _tick(state, max(readings.time_us))
        if renewed:
            # What was judged by other rules is not to be judged again by these: kept in a snapshot at once.
            return outputs, self._snapshot_every
        each = max(self._snapshot_every, READINGS_EACH * state.judge.stations)
        return outputs, max(1, len(readings) * self._snapshot_every // each)

    def encode(self, state: Held) -> bytes:
        """As the runner asks."""
        return state.judge.pack()

    def _renew(self, state: Held) -> bool:
        catalogue, county = self._catalogue(), self._county()
        if catalogue is state.judge.catalogue and county is state.county:
            return False
        logger.info("rules %s are in force", catalogue.version)
        state.judge, state.county = state.judge.under(catalogue, county), county
        return True

    def _entries(self, judged: Judgement) -> list[Entry]:
        found = [
            Entry(self._output.findings, one.site, wire.FINDING.encode(one), one.time)
            for one in judged.findings
        ]
        if self._output.signals is not None:
            signals: list[SiteLevel | Weather] = [*judged.levels, *judged.weather]
            found += [
                Entry(self._output.signals, COUNTY_KEY, wire.SIGNAL.encode(one), one.time) for one in signals
            ]
        return found


def _tick(state: Held, newest_us: int) -> list[Entry]:
    """In replay mode readings say what time it is, every so often."""
    if newest_us < state.ticked_us + TICK_EVERY_US:
        return []
    state.ticked_us = newest_us
    now = moment(newest_us)
    return [Entry(SIGNALS, COUNTY_KEY, wire.SIGNAL.encode(Tick(now)), now)]


class Rules:
    """Judges until cancelled. Another `output` for a shadow run, which tells nobody."""

    def __init__(
        self,
        log: Log,
        catalogue: Callable[[], Catalogue],
        county: Callable[[], County | None] = lambda: None,
        *,
        output: Output = TOLD,
        snapshot_every: int = SNAPSHOT_EVERY,
        advance_every_s: float = ADVANCE_EVERY_S,
    ) -> None:
        self._runner = Runner(
            log,
            Place(output.group, READINGS, "readings"),
            StationWork(catalogue, county, output, snapshot_every),
            snapshot_every=snapshot_every,
            advance_every_s=advance_every_s,
        )

    async def run(self, pulse: Pulse) -> None:
        """Run it as a role."""
        # Whoever shares this process's loop is not kept waiting while kernels are loaded, or made.
        await asyncio.to_thread(warm)
        await self._runner.run(pulse)


class ShadowRules:
    """Judges by the rules on trial, beside those in force, for comparison; `shadow` gives them, or None.

    A group that has once read the log goes on reading it without a trial too, by no rules: the log keeps what any of its
    groups has not taken.
    """

    def __init__(
        self, log: Log, shadow: Callable[[], Catalogue | None], county: Callable[[], County | None]
    ) -> None:
        self._log = log
        self._shadow = shadow
        self._rules = Rules(log, lambda: shadow() or NO_RULES, county, output=UNTOLD)

    async def run(self, pulse: Pulse) -> None:
        """Run it as a role."""
        while self._shadow() is None and not any(
            (await self._log.positions(UNTOLD.group, READINGS)).values()
        ):
            pulse.beat()
            await asyncio.sleep(LOOK_EVERY_S)
        await self._rules.run(pulse)
