"""The rules role: readings from the log, findings to the log, state and place in one commit."""

import asyncio
import gc
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from services.rules.catalogue import RainRule
from services.rules.rainstorm import RainstormJudge, SiteRain
from tongluo import wire
from tongluo.errors import Fenced, WireError
from tongluo.log.port import Assigned, Batch, Consumer, Entry, Event, Log, Revoked, Snapshot, Stored
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS, READINGS

logger = logging.getLogger(__name__)

GROUP: Final = "rules"
# How many readings, and how much time, may lie between two snapshots of a partition: the longest tail judged again
# after a restart, and what keeps the log from being trimmed.
SNAPSHOT_EVERY: Final = 2000
SNAPSHOT_EVERY_S: Final = 600.0
# An entry holds up to a thousand readings: what is judged between two looks at the clock stays bounded.
BATCH_ENTRIES: Final = 200


# Entries that led to nothing need no commit of their own: their positions are told together, when it is quiet and now and
# then while it is not.
QUIET_S: Final = 0.2
ADVANCE_EVERY_S: Final = 1.0


class PartitionState(msgspec.Struct):
    """All that is remembered of one partition, by rule and site: a pure function of its entries so far."""

    sites: dict[str, dict[str, SiteRain]] = {}


@dataclass
class _Partition:
    """A partition in our hands. `judged` and `committed` are positions: the next offset."""

    state: PartitionState
    judged: int
    committed: int
    snapshot_at_s: float
    since_snapshot: int = 0

    @property
    def owed(self) -> int:
        """How many entries have been judged and are not yet committed."""
        return max(0, self.judged - self.committed)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PartitionState)


class Rules:
    """Judges until cancelled.

    After a restart or a take-over the state of a partition comes from its newest snapshot; the entries between
    snapshot and committed position are judged once more, without telling, and all is as if nothing had happened.
    `snapshot_every` bounds that tail, in readings.
    """

    def __init__(
        self,
        log: Log,
        rules: Sequence[RainRule],
        *,
        snapshot_every: int = SNAPSHOT_EVERY,
        advance_every_s: float = ADVANCE_EVERY_S,
    ) -> None:
        self._log = log
        self._snapshot_every = snapshot_every
        self._advance_every_s = advance_every_s
        self._advanced_s = 0.0
        self._judged = 0
        self._judges = [RainstormJudge(rule) for rule in rules]
        self._partitions: dict[int, _Partition] = {}

    async def run(self, pulse: Pulse) -> None:
        self._partitions.clear()
        async with self._log.join(GROUP, READINGS, batch_size=BATCH_ENTRIES) as consumer:
            pulse.beat()
            while True:
                owed = any(partition.owed for partition in self._partitions.values())
                event = await consumer.next(timeout_s=QUIET_S if owed else 5.0)
                await self._meet(consumer, event)
                if event is None or time.monotonic() - self._advanced_s >= self._advance_every_s:
                    await self._advance(consumer)
                if isinstance(event, Batch):
                    pulse.count("readings", self._judged)
                    self._judged = 0

    async def _meet(self, consumer: Consumer, event: Event | None) -> None:
        match event:
            case Assigned(numbers):
                for number in numbers:
                    self._partitions[number] = await self._take_up(consumer, number)
            case Revoked(numbers):
                for number in numbers:
                    self._partitions.pop(number, None)
            case Batch() as batch:
                for number, entries in batch.by_partition().items():
                    if number in self._partitions:
                        await self._judge(consumer, number, entries)

    async def _take_up(self, consumer: Consumer, number: int) -> "_Partition":
        snapshot = await consumer.snapshot(number)
        offset = snapshot.offset if snapshot else 0
        consumer.seek(number, offset)
        return _Partition(
            state=_restored(snapshot.value) if snapshot else PartitionState(),
            judged=offset,
            committed=await consumer.committed(number),
            snapshot_at_s=time.monotonic(),
        )

    async def _judge(self, consumer: Consumer, number: int, entries: Sequence[Stored]) -> None:
        partition = self._partitions[number]
        outputs: list[Entry] = []
        for entry in entries:
            outputs += self._outputs(partition, entry)
            # Whoever shares this process's loop is not kept waiting for a whole batch.
            await asyncio.sleep(0)
        if outputs or self._snapshot_is_due(partition):
            try:
                await self._commit(consumer, number, outputs)
            except Fenced as error:
                # Whoever has it now judges the same and tells it; the other partitions are still ours.
                logger.info("%s", error)
                del self._partitions[number]

    async def _advance(self, consumer: Consumer) -> None:
        self._advanced_s = time.monotonic()
        owed = {number: partition.judged for number, partition in self._partitions.items() if partition.owed}
        if owed:
            for number, position in (await consumer.advance(owed)).items():
                self._partitions[number].committed = position

    async def _commit(self, consumer: Consumer, number: int, outputs: Sequence[Entry]) -> None:
        partition = self._partitions[number]
        snapshot = None
        if self._snapshot_is_due(partition):
            snapshot = Snapshot(partition.judged, _encoder.encode(partition.state))
            partition.since_snapshot, partition.snapshot_at_s = 0, time.monotonic()
        await consumer.commit(number, partition.judged, outputs, snapshot)
        partition.committed = partition.judged

    def _outputs(self, partition: "_Partition", entry: Stored) -> list[Entry]:
        """What one entry leads to; nothing if it has been told before."""
        told = entry.offset < partition.committed
        partition.judged = entry.offset + 1
        try:
            readings = wire.READINGS.decode(entry.value)
        except WireError as error:
            # The recorder sets it aside for people to see.
            logger.error("entry %d of partition %d is not judged: %s", entry.offset, entry.partition, error)
            return []
        partition.since_snapshot += len(readings)
        self._judged += len(readings)
        findings = [
            finding
            for reading in readings.each()
            for judge in self._judges
            for finding in judge.judge(_site(partition.state, judge, reading.site), reading)
        ]
        if told:
            return []
        return [Entry(FINDINGS, found.site, wire.FINDING.encode(found), found.time) for found in findings]

    def _snapshot_is_due(self, partition: "_Partition") -> bool:
        # Not while what was judged before is judged again: the state is older than what is committed.
        return partition.owed > 0 and (
            partition.since_snapshot >= self._snapshot_every
            or time.monotonic() - partition.snapshot_at_s >= SNAPSHOT_EVERY_S
        )


def _restored(snapshot: bytes) -> PartitionState:
    """A partition's state out of its snapshot.

    A large county's is a tree of a million objects that come at once, stay, and hold no cycles: the cyclic collector
    would go through them again and again, while they come and ever after.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        state = _decoder.decode(snapshot)
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
    return state


def _site(state: PartitionState, judge: RainstormJudge, site: str) -> SiteRain:
    sites = state.sites.setdefault(judge.rule.id, {})
    if site not in sites:
        sites[site] = judge.new_site()
    return sites[site]
