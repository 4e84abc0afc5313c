"""Runs a judgement on the log: entries in, findings out, state and place in one commit."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from tongluo.errors import Fenced, WireError
from tongluo.log.port import Assigned, Batch, Consumer, Entry, Event, Log, Revoked, Snapshot, Stored
from tongluo.supervise import Pulse
from tongluo.topics import Topic

logger = logging.getLogger(__name__)

State = TypeVar("State")

# How much weight (readings, say), and how much time, may lie between two snapshots of a partition: the longest tail judged
# again after a restart, and what keeps the log from being trimmed.
SNAPSHOT_EVERY: Final = 2000
SNAPSHOT_EVERY_S: Final = 600.0
# An entry may hold up to a thousand readings: what is judged between two looks at the clock stays bounded.
BATCH_ENTRIES: Final = 200

# Entries that led to nothing need no commit of their own: their positions are told together, when it is quiet and now and
# then while it is not.
QUIET_S: Final = 0.2
ADVANCE_EVERY_S: Final = 1.0
PATIENCE_S: Final = 5.0


class Work(Protocol[State]):
    """What is run. A partition's state must be a pure function of its entries so far."""

    def restore(self, snapshot: bytes | None) -> State:
        """The state that `encode` wrote, or that of a partition of which nothing is known. Raises WireError for a
        snapshot that it cannot read, as another release may have left it."""
        ...

    def judge(self, state: State, entry: Stored) -> tuple[list[Entry], int]:
        """What one entry leads to, and its weight: how much there was to judge in it. Changes the state it is given."""
        ...

    def encode(self, state: State) -> bytes:
        """The state as a snapshot keeps it."""
        ...


class Place(msgspec.Struct, frozen=True):
    """Where work comes from: a topic, read as a member of `group`. `counted` is what the role counts its weight as."""

    group: str
    topic: Topic
    counted: str


Tend = Callable[[Sequence[State]], Awaitable[float]]
"""What else is to be done while partitions are ours, given their states; returns in how many seconds again at the latest."""


@dataclass
class _Partition(Generic[State]):
    """A partition in our hands. `judged` and `committed` are positions: the next offset."""

    state: State
    judged: int
    committed: int
    snapshot_at_s: float
    since_snapshot: int = 0

    @property
    def owed(self) -> int:
        """How many entries have been judged and are not yet committed."""
        return max(0, self.judged - self.committed)


class Runner(Generic[State]):
    """Judges until cancelled.

    After a restart or a take-over the state of a partition comes from its newest snapshot; the entries between
    snapshot and committed position are judged once more, without telling, and all is as if nothing had happened.
    `snapshot_every` bounds that tail, by weight.
    """

    def __init__(
        self,
        log: Log,
        place: Place,
        work: Work[State],
        *,
        tend: Tend[State] | None = None,
        snapshot_every: int = SNAPSHOT_EVERY,
        advance_every_s: float = ADVANCE_EVERY_S,
    ) -> None:
        self._log = log
        self._place = place
        self._work = work
        self._tend = tend
        self._snapshot_every = snapshot_every
        self._advance_every_s = advance_every_s
        self._advanced_s = 0.0
        self._judged = 0
        self._partitions: dict[int, _Partition[State]] = {}

    async def run(self, pulse: Pulse) -> None:
        self._partitions.clear()
        async with self._log.join(self._place.group, self._place.topic, batch_size=BATCH_ENTRIES) as consumer:
            pulse.beat()
            while True:
                event = await consumer.next(timeout_s=await self._patience_s())
                await self._meet(consumer, event)
                if event is None or time.monotonic() - self._advanced_s >= self._advance_every_s:
                    await self._advance(consumer)
                if isinstance(event, Batch):
                    pulse.count(self._place.counted, self._judged)
                    self._judged = 0

    async def _patience_s(self) -> float:
        """How long to wait for what happens next."""
        owed = any(partition.owed for partition in self._partitions.values())
        patience_s = QUIET_S if owed else PATIENCE_S
        if self._tend is None:
            return patience_s
        # What is judged once more is older than what we have told of it, and would be tended to twice.
        states = [each.state for each in self._partitions.values() if each.judged >= each.committed]
        return min(patience_s, await self._tend(states))

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

    async def _take_up(self, consumer: Consumer, number: int) -> _Partition[State]:
        snapshot = await consumer.snapshot(number)
        try:
            state = self._restored(snapshot)
        except WireError as error:
            logger.warning(
                "partition %d: its snapshot cannot be read, state is made again from the log: %s",
                number,
                error,
            )
            snapshot, state = None, self._work.restore(None)
        offset = snapshot.offset if snapshot else 0
        consumer.seek(number, offset)
        return _Partition(
            state=state,
            judged=offset,
            committed=await consumer.committed(number),
            snapshot_at_s=time.monotonic(),
        )

    def _restored(self, snapshot: Snapshot | None) -> State:
        if snapshot is None:
            return self._work.restore(None)
        with uncollected():
            return self._work.restore(snapshot.value)

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
            snapshot = Snapshot(partition.judged, self._work.encode(partition.state))
            partition.since_snapshot, partition.snapshot_at_s = 0, time.monotonic()
        await consumer.commit(number, partition.judged, outputs, snapshot)
        partition.committed = partition.judged

    def _outputs(self, partition: _Partition[State], entry: Stored) -> list[Entry]:
        """What one entry leads to; nothing if it has been told before."""
        told = entry.offset < partition.committed
        partition.judged = entry.offset + 1
        outputs, weight = self._work.judge(partition.state, entry)
        partition.since_snapshot += weight
        self._judged += weight
        return [] if told else outputs

    def _snapshot_is_due(self, partition: _Partition[State]) -> bool:
        # Not while what was judged before is judged again: the state is older than what is committed.
        return partition.owed > 0 and (
            partition.since_snapshot >= self._snapshot_every
            or time.monotonic() - partition.snapshot_at_s >= SNAPSHOT_EVERY_S
        )


@contextmanager
def uncollected() -> Iterator[None]:
    """While a partition's state is made out of its snapshot.

    A large county's is a tree of a million objects that come at once, stay, and hold no cycles: the cyclic collector
    would go through them again and again, while they come and ever after.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
