"""One member of a consumer group on Kafka, and what a rebalance means for it.

Kafka's client gives every partition back and takes it again in each rebalance; the member tells its caller only what
really changed. A member that commits owns, for each partition, a transactional producer with the partition's identity.
Starting that producer ends whatever its predecessor left open and fences the predecessor; only then is the committed
position read. That is what makes promises 5, 6 and 7 hold (docs/decisions/0009).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
)
from aiokafka.structs import OffsetAndMetadata

from tongluo.clock import milliseconds
from tongluo.errors import Fenced, LogUnavailable
from tongluo.log.kafka_cluster import Cluster, goodbye
from tongluo.log.kafka_state import StatePlace, chunks
from tongluo.log.kafka_topics import MAX_RECORD_BYTES, STATE
from tongluo.log.port import Assigned, Batch, Entry, Event, Revoked, Snapshot, Stored, check
from tongluo.topics import Topic

logger = logging.getLogger(__name__)

# How often a quiet member looks whether partitions have come or gone.
_LOOK_EVERY_S: Final = 0.2


@asynccontextmanager
async def joined(
    cluster: Cluster, group: str, topic: Topic, *, batch_size: int, commits: bool, member: str | None
) -> AsyncIterator["KafkaConsumer"]:
    """Be a member of `group` for as long as the context is open."""
    session_ms = int(min(cluster.session_s, 10.0) * 1000)
    client = AIOKafkaConsumer(
        **cluster.address.clients(),
        group_id=cluster.group(group, topic),
        group_instance_id=member,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=[StickyPartitionAssignor],
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 4,
        max_poll_interval_ms=int(cluster.session_s * 1000),
        rebalance_timeout_ms=int(cluster.session_s * 1000),
    )
    consumer = KafkaConsumer(cluster, client, group, topic, batch_size=batch_size, commits=commits)
    client.subscribe([cluster.address.named(topic.name)], listener=consumer.listener)
    try:
        with cluster.named(f"does not let us join {group}"):
            await client.start()
        yield consumer
    finally:
        await consumer.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what Kafka says; the member acts on it when it is asked for the next event."""

    def __init__(self, client: AIOKafkaConsumer) -> None:
        self._client = client
        self.assignment: frozenset[int] = frozenset()
        self.moved = False

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """What was ours may still come back in the same rebalance: nothing is told yet."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = list(assigned)
        # Nothing is fetched before it is settled from where.
        self._client.pause(*places)
        self.assignment = frozenset(place.partition for place in places)
        self.moved = True


class KafkaConsumer:
    """See port.Consumer."""

    def __init__(
        self,
        cluster: Cluster,
        client: AIOKafkaConsumer,
        group: str,
        topic: Topic,
        *,
        batch_size: int,
        commits: bool,
    ) -> None:
        self.listener = _Listener(client)
        self._cluster = cluster
        self._client = client
        self._group = group
        self._topic = topic
        self._batch_size = batch_size
        self._commits = commits
        self._events: deque[Event] = deque()
        self._next: dict[int, int] = {}
        self._committed: dict[int, tuple[int, StatePlace | None]] = {}
        self._producers: dict[int, AIOKafkaProducer] = {}
        # Since when a partition that was taken from us waits for the rebalance that did it.
        self._fenced_s: float | None = None

    async def next(self, timeout_s: float) -> Event | None:
        deadline = time.monotonic() + timeout_s
        with self._cluster.named(f"gives {self._group} nothing to read"):
            while True:
                if self.listener.moved:
                    await self._settle()
                self._must_hear_why()
                if self._events:
                    return self._events.popleft()
                left_s = deadline - time.monotonic()
                batch = await self._fetch(max(0.0, min(left_s, _LOOK_EVERY_S)))
                if batch is not None or left_s <= 0:
                    return batch

    async def committed(self, partition: int) -> int:
        self._must_own(partition)
        return self._committed[partition][0]

    async def snapshot(self, partition: int) -> Snapshot | None:
        self._must_own(partition)
        state = self._committed[partition][1]
        if state is None:
            return None
        place = TopicPartition(self._cluster.address.named(STATE), partition)
        key = self._state_key(partition)
        records = await self._cluster.read(place, state.first, state.last)
        mine = [record.value for record in records if record.key.rpartition(b"/")[0] == key]
        return Snapshot(state.at, b"".join(mine))

    def seek(self, partition: int, offset: int) -> None:
        self._must_own(partition)
        self._next[partition] = offset
        # In the middle of a rebalance there is nothing to seek in: `_settle` will, to the same place.
        with suppress(IllegalStateError):
            self._client.seek(self._place(partition), offset)

    async def commit(
        self, partition: int, position: int, outputs: Sequence[Entry] = (), snapshot: Snapshot | None = None
    ) -> None:
        if not self._commits:
            raise AssertionError(f"{self._group} keeps its place elsewhere")
        self._must_own(partition)
        if partition not in self.listener.assignment:
            raise self._given_up(partition)
        check(outputs)
        try:
            state = await self._transaction(partition, position, outputs, snapshot)
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise self._given_up(partition) from error
        except (KafkaError, OSError, TimeoutError) as error:
            # Whether it was committed is not known; a new start of the producer will settle it.
            raise LogUnavailable(f"Kafka did not commit for {self._group}: {error!r}") from error
        self._committed[partition] = (position, state)

    async def advance(self, positions: Mapping[int, int]) -> Mapping[int, int]:
        # By the group's generation rather than a transaction: one round trip for all. Not before a rebalance has been
        # settled, as somebody else may have gone further in between.
        if self.listener.moved:
            return {}
        mine = {p: position for p, position in positions.items() if p in self._next}
        states = {p: self._committed[p][1] for p in mine}
        offsets = {
            self._place(p): OffsetAndMetadata(position, _metadata(states[p])) for p, position in mine.items()
        }
        try:
            await self._client.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            logger.info("%s is being shared out anew: %r", self._topic.name, error)
            return {}
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka did not commit for {self._group}: {error!r}") from error
        self._committed |= {p: (position, states[p]) for p, position in mine.items()}
        return mine

    async def close(self) -> None:
        """Leave the group; what is open in a transaction is left to be aborted by the successor."""
        await goodbye(self._client.stop())
        await self._stop_producers(list(self._producers))

    # -- inside

    def _place(self, partition: int) -> TopicPartition:
        return self._cluster.place(self._topic, partition)

    def _state_key(self, partition: int) -> bytes:
        return f"{self._group}/{self._topic.name}/{partition}".encode()

    def _must_own(self, partition: int) -> None:
        if partition not in self._next:
            raise Fenced(f"partition {partition} of {self._topic.name} is not this member's")

    def _must_hear_why(self) -> None:
        """Raises Fenced when no rebalance explains the loss of a partition: who took it is not of this group."""
        if self._fenced_s is not None and time.monotonic() - self._fenced_s > self._cluster.session_s:
            raise Fenced(
                f"a partition of {self._topic.name} was taken from {self._group} without a rebalance"
            )

    async def _transaction(
        self, partition: int, position: int, outputs: Sequence[Entry], snapshot: Snapshot | None
    ) -> StatePlace | None:
        """Commit; returns where the state lies then. Raises what Kafka raises."""
        producer = self._producers[partition]
        state = self._committed[partition][1]
        await producer.begin_transaction()
        for entry in outputs:
            await self._send(producer, entry)
        if snapshot is not None:
            state = await self._send_snapshot(producer, partition, snapshot)
        await producer.send_offsets_to_transaction(
            {self._place(partition): OffsetAndMetadata(position, _metadata(state))},
            self._cluster.group(self._group, self._topic),
        )
        await producer.commit_transaction()
        return state

    def _given_up(self, partition: int) -> Fenced:
        """Another member has it; the rebalance that gave it to them is told, or about to be told, to us too.

        Forgotten at once: should a second rebalance bring it back before we look, it comes as one that was gained.
        """
        del self._next[partition], self._committed[partition]
        self._fenced_s = time.monotonic()
        self._events.append(Revoked((partition,)))
        return Fenced(f"partition {partition} of {self._topic.name} belongs to another member now")

    async def _settle(self) -> None:
        """Take up what a rebalance brought and give up what it took; tell only the difference."""
        self.listener.moved = False
        self._fenced_s = None
        target = self.listener.assignment
        if self._commits:
            await self._fence(target)
        found = await self._cluster.committed(self._group, self._topic)
        # Who left the group without noticing may get back what somebody else has worked on in between.
        kept = {
            p for p in target & self._next.keys() if not self._commits or self._committed[p][0] == found[p][0]
        }
        places = {p: self._next[p] if p in kept else found[p][0] for p in target}
        try:
            for partition, offset in places.items():
                self._client.seek(self._place(partition), offset)
            self._client.resume(*(self._place(partition) for partition in target))
        except IllegalStateError:
            return  # the next rebalance has begun; its end will be told
        lost, gained = self._next.keys() - kept, target - kept
        self._next = places
        self._committed = {p: self._committed[p] if p in kept else found[p] for p in target}
        if lost:
            self._events.append(Revoked(tuple(sorted(lost))))
        if gained:
            self._events.append(Assigned(tuple(sorted(gained))))

    async def _fence(self, partitions: Iterable[int]) -> None:
        """Start the producers of these partitions anew: nobody else's transaction can be committed from here on."""
        await self._stop_producers(list(self._producers))
        started = {
            partition: AIOKafkaProducer(
                **self._cluster.address.clients(),
                transactional_id=self._cluster.address.named(self._group, self._topic.name, partition),
                transaction_timeout_ms=60_000,
                max_request_size=MAX_RECORD_BYTES,
                linger_ms=0,
                # A transaction finds the end of the one before still being written: a short wait, not the usual 100 ms.
                retry_backoff_ms=5,
            )
            for partition in partitions
        }
        self._producers = started
        await asyncio.gather(*(producer.start() for producer in started.values()))

    async def _stop_producers(self, partitions: Iterable[int]) -> None:
        await asyncio.gather(*(goodbye(self._producers.pop(partition).stop()) for partition in partitions))

    async def _fetch(self, timeout_s: float) -> Batch | None:
        found = await self._client.getmany(timeout_ms=int(timeout_s * 1000), max_records=self._batch_size)
        entries: list[Stored] = []
        for place, records in found.items():
            following = self._next.get(place.partition)
            if following is None:
                continue  # fetched before a rebalance that has since been settled otherwise
            entries += [
                Stored(
                    place.partition,
                    record.offset,
                    (record.key or b"").decode("utf-8", "replace"),
                    record.value,
                )
                for record in records
                if record.offset >= following
            ]
            self._next[place.partition] = records[-1].offset + 1
        return Batch(tuple(entries)) if entries else None

    async def _send(self, producer: AIOKafkaProducer, entry: Entry) -> None:
        """Into the open transaction, whose commit fails if this does."""
        sent: asyncio.Future[object] = await producer.send(
            self._cluster.address.named(entry.topic.name),
            entry.value,
            entry.key.encode(),
            partition=entry.topic.partition_of(entry.key),
            timestamp_ms=milliseconds(entry.time),
        )
        sent.add_done_callback(_noted)

    async def _send_snapshot(
        self, producer: AIOKafkaProducer, partition: int, snapshot: Snapshot
    ) -> StatePlace:
        key = self._state_key(partition)
        topic = self._cluster.address.named(STATE)
        sent = [
            await producer.send(topic, chunk, key + f"/{number}".encode(), partition=partition)
            for number, chunk in enumerate(chunks(snapshot.value))
        ]
        written = await asyncio.gather(*sent)
        return StatePlace(written[0].offset, written[-1].offset, snapshot.offset)


def _metadata(state: StatePlace | None) -> str:
    return state.metadata() if state is not None else ""


def _noted(sent: "asyncio.Future[object]") -> None:
    """The commit has told of it: asyncio need not tell again that nobody asked."""
    if not sent.cancelled():
        sent.exception()
