"""The rules role: readings from the log, findings to the log, state and place in one commit."""

import logging
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from services.rules.catalogue import RainRule
from services.rules.rainstorm import RainstormJudge, SiteRain
from tongluo import wire
from tongluo.errors import WireError
from tongluo.log.port import Assigned, Batch, Consumer, Entry, Log, Revoked, Snapshot, Stored
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS, READINGS

logger = logging.getLogger(__name__)

GROUP: Final = "rules"
# How many entries, and how much time, may lie between two snapshots of a partition: the longest tail judged again
# after a restart, and what keeps the log from being trimmed.
SNAPSHOT_EVERY: Final = 2000
SNAPSHOT_EVERY_S: Final = 600.0


class PartitionState(msgspec.Struct):
    """All that is remembered of one partition, by rule and site: a pure function of its entries so far."""

    sites: dict[str, dict[str, SiteRain]] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PartitionState)


class Rules:
    """Judges until cancelled.

    After a restart or a take-over the state of a partition comes from its newest snapshot; the entries between
    snapshot and committed position are judged once more, without telling, and all is as if nothing had happened.
    `snapshot_every` bounds that tail, in entries.
    """

    def __init__(self, log: Log, rules: Sequence[RainRule], *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self._log = log
        self._snapshot_every = snapshot_every
        self._judges = [RainstormJudge(rule) for rule in rules]
        self._states: dict[int, PartitionState] = {}
        self._committed: dict[int, int] = {}
        self._since_snapshot: dict[int, int] = {}
        self._snapshot_at_s: dict[int, float] = {}

    async def run(self, pulse: Pulse) -> None:
        self._states.clear()
        async with self._log.join(GROUP, READINGS) as consumer:
            pulse.beat()
            while True:
                match await consumer.next(timeout_s=5.0):
                    case Assigned(partitions):
                        for partition in partitions:
                            await self._take_up(consumer, partition)
                    case Revoked(partitions):
                        for partition in partitions:
                            self._states.pop(partition, None)
                    case Batch() as batch:
                        await self._judge(consumer, batch)
                        pulse.count("readings", len(batch.entries))

    async def _take_up(self, consumer: Consumer, partition: int) -> None:
        snapshot = await consumer.snapshot(partition)
        self._states[partition] = _decoder.decode(snapshot.value) if snapshot else PartitionState()
        self._committed[partition] = await consumer.committed(partition)
        self._since_snapshot[partition] = 0
        self._snapshot_at_s[partition] = time.monotonic()
        consumer.seek(partition, snapshot.offset if snapshot else 0)

    async def _judge(self, consumer: Consumer, batch: Batch) -> None:
        outputs = [output for entry in batch.entries for output in self._outputs(entry)]
        positions = {
            partition: position
            for partition, position in batch.positions().items()
            if position > self._committed[partition]
        }
        if not positions:
            return
        await consumer.commit(positions, outputs, self._due_snapshots(positions))
        self._committed |= positions

    def _outputs(self, entry: Stored) -> list[Entry]:
        """What one entry leads to; nothing if it has been told before."""
        self._since_snapshot[entry.partition] += 1
        told = entry.offset < self._committed[entry.partition]
        try:
            reading = wire.READING.decode(entry.value)
        except WireError as error:
            # The recorder sets it aside for people to see.
            logger.error("entry %d of partition %d is not judged: %s", entry.offset, entry.partition, error)
            return []
        findings = [
            finding
            for judge in self._judges
            for finding in judge.judge(self._site(entry.partition, judge, reading.site), reading)
        ]
        if told:
            return []
        return [Entry(FINDINGS, found.site, wire.FINDING.encode(found), found.time) for found in findings]

    def _site(self, partition: int, judge: RainstormJudge, site: str) -> SiteRain:
        sites = self._states[partition].sites.setdefault(judge.rule.id, {})
        if site not in sites:
            sites[site] = judge.new_site()
        return sites[site]

    def _due_snapshots(self, positions: dict[int, int]) -> dict[int, Snapshot]:
        now_s = time.monotonic()
        due = [
            partition
            for partition in positions
            if self._since_snapshot[partition] >= self._snapshot_every
            or now_s - self._snapshot_at_s[partition] >= SNAPSHOT_EVERY_S
        ]
        for partition in due:
            self._since_snapshot[partition], self._snapshot_at_s[partition] = 0, now_s
        return {p: Snapshot(positions[p], _encoder.encode(self._states[p])) for p in due}
