"""The event log on Apache Kafka: the same promises as in PostgreSQL (see port.py), for more than one machine.

Appending is idempotent production. A commit is one Kafka transaction, with one transactional producer per partition
whose identity is the partition's, so that taking a partition over fences whoever had it before (kafka_consumer.py,
docs/decisions/0009).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tongluo.clock import milliseconds, wall_now
from tongluo.errors import MissingPartError
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.kafka_cluster import Cluster, goodbye, reached
from tongluo.log.kafka_consumer import joined
from tongluo.log.kafka_topics import MAX_RECORD_BYTES
from tongluo.log.port import Consumer, Entry, check
from tongluo.supervise import Pulse
from tongluo.topics import Topic

# How much goes to one partition in one request. Kafka counts a batch against the largest message it takes.
_BATCH_BYTES: Final = 512 * 1024
_WATCH_EVERY_S: Final = 2.0


class KafkaLog:
    """The log over one cluster. Open it with `open_kafka`."""

    def __init__(self, cluster: Cluster, appender: "_Appender", member: str | None) -> None:
        self._cluster = cluster
        self._appender = appender
        self._member = member

    async def append(self, entries: Sequence[Entry]) -> None:
        check(entries)
        by_place: dict[tuple[str, int], list[Entry]] = {}
        for entry in entries:
            place = entry.topic.name, entry.topic.partition_of(entry.key)
            by_place.setdefault(place, []).append(entry)
        with self._cluster.named("cannot be appended to"):
            await self._appender.append(
                {
                    self._cluster.place(group[0].topic, partition): group
                    for (_, partition), group in by_place.items()
                }
            )

    def join(
        self, group: str, topic: Topic, *, batch_size: int = 1000, commits: bool = True
    ) -> AbstractAsyncContextManager[Consumer]:
        return joined(
            self._cluster, group, topic, batch_size=batch_size, commits=commits, member=self._member
        )

    async def ends(self, topic: Topic) -> dict[int, int]:
        return await self._cluster.ends(topic)

    async def positions(self, group: str, topic: Topic) -> dict[int, int]:
        committed = await self._cluster.committed(group, topic)
        return {partition: offset for partition, (offset, _) in committed.items()}

    async def positions_at(self, topic: Topic, time: datetime) -> dict[int, int]:
        """As the port says, to the millisecond: Kafka knows no finer time."""
        return {**await self.ends(topic), **await self._cluster.at(topic, time)}

    async def trim(self, taken: Mapping[Topic, Mapping[int, int]]) -> int:
        """As the port says. The age of an entry is that of its event."""
        deleted = 0
        for topic, positions in taken.items():
            begins = await self._cluster.begins(topic)
            old = await self.positions_at(topic, wall_now() - timedelta(days=topic.keep_days))
            needed = await self._needed(topic)
            before = {p: min(old[p], positions.get(p, 0), *needed[p]) for p in begins}
            due = {p: offset for p, offset in before.items() if offset > begins[p]}
            if due:
                await self._cluster.delete_before(topic, due)
            deleted += sum(offset - begins[p] for p, offset in due.items())
        return deleted

    async def watch(self, pulse: Pulse) -> None:
        """A role that says whether the cluster is there: its clients wait for it without a word."""
        while True:
            await self._cluster.answers()
            pulse.beat()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def _needed(self, topic: Topic) -> dict[int, list[int]]:
        """By partition, what groups that keep their place here still need: all above their newest state."""
        needed: dict[int, list[int]] = {partition: [] for partition in range(topic.partitions)}
        for group in await self._cluster.groups(topic):
            for partition, (offset, state) in (await self._cluster.committed(group, topic)).items():
                if offset > 0:
                    needed[partition].append(state.at if state is not None else 0)
        return needed


@asynccontextmanager
async def open_kafka(
    address: KafkaAddress, *, session_s: float = 30.0, member: str | None = None
) -> AsyncIterator[KafkaLog]:
    """Open the log. `session_s` is how long a member may go without a sign of life before the others take over.

    `member` is a name that survives a restart, different for each replica: with it a member that comes back within
    `session_s` finds its partitions waiting. Raises MissingPartError when the cluster or a topic is not there.
    """
    opening = True
    try:
        async with reached(address, session_s) as cluster:
            appender = _Appender(address, session_s)
            try:
                await appender.started()
                opening = False
                yield KafkaLog(cluster, appender, member)
            finally:
                await appender.stop()
    except (KafkaError, OSError) as error:
        if not opening:
            raise
        raise MissingPartError(
            f"Kafka at {address.bootstrap} cannot be reached ({error!r}): start it, or correct TONGLUO_LOG"
        ) from error


class _Appender:
    """An idempotent producer. It waits for a cluster that is away, for as long as that takes.

    Made anew after what it cannot recover from: one whose numbering is in doubt never works again.
    """

    def __init__(self, address: KafkaAddress, session_s: float) -> None:
        self._address = address
        self._session_s = session_s
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def append(self, entries: Mapping[TopicPartition, Sequence[Entry]]) -> None:
        """Raises what Kafka raises."""
        producer = await self.started()
        try:
            sent = [
                delivered
                for place, group in entries.items()
                async for delivered in _send(producer, place, group)
            ]
            await asyncio.gather(*sent)
        except KafkaError:
            if self._producer is producer:
                await self.stop()
            raise

    async def started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._address.clients(),
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=MAX_RECORD_BYTES,
                    linger_ms=0,
                    retry_backoff_ms=20,
                    request_timeout_ms=int(self._session_s * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await goodbye(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await goodbye(producer.stop())


async def _send(
    producer: AIOKafkaProducer, place: TopicPartition, entries: Iterable[Entry]
) -> AsyncIterator["asyncio.Future[object]"]:
    """Hand entries of one partition over in order, in as few batches as they fit into."""
    batch = producer.create_batch()
    for entry in entries:
        record = {"timestamp": milliseconds(entry.time), "key": entry.key.encode(), "value": entry.value}
        if batch.append(**record) is None:
            yield await producer.send_batch(batch, place.topic, partition=place.partition)
            batch = producer.create_batch()
            batch.append(**record)
    yield await producer.send_batch(batch, place.topic, partition=place.partition)
