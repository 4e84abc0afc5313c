"""The rules role: readings from the log, findings to the log, state and place in one commit."""

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue
from services.rules.runner import ADVANCE_EVERY_S, SNAPSHOT_EVERY, Place, Runner
from services.rules.stations.judge import Judgement, StationJudge
from tongluo import wire
from tongluo.errors import WireError
from tongluo.log.port import Entry, Log, Stored
from tongluo.region import County
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS, READINGS, SIGNALS, Topic

logger = logging.getLogger(__name__)

GROUP: Final = "rules"
# A snapshot holds every station of its partition: it is made no oftener than after so many readings of each.
READINGS_EACH: Final = 10


class Output(msgspec.Struct, frozen=True):
    """Who judges, and where it goes: findings to a topic; levels to the county-wide judgement, or nowhere."""

    group: str
    findings: Topic
    signals: Topic | None


TOLD: Final = Output(GROUP, FINDINGS, SIGNALS)


class Held:
    """A partition's judge; another one, of the same memory, when rules or registry have changed."""

    def __init__(self, judge: StationJudge, county: County | None) -> None:
        self.judge = judge
        self.county = county


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
            found += [
                Entry(self._output.signals, "county", wire.SIGNAL.encode(one), one.time)
                for one in judged.levels
            ]
        return found


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
        await self._runner.run(pulse)
