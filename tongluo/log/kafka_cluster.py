"""What everybody asks of a Kafka cluster: where our topics begin and end, what was committed, what stands there."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError

from tongluo.clock import milliseconds
from tongluo.errors import LogUnavailable
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.kafka_state import StatePlace
from tongluo.log.kafka_topics import inspect, wanted
from tongluo.topics import Topic

logger = logging.getLogger(__name__)

_PATIENCE_S: Final = 5.0


class Cluster:
    """A cluster as seen from outside any group. `session_s` is how long it may keep silent. Open it with `reached`."""

    def __init__(
        self, address: KafkaAddress, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, session_s: float
    ) -> None:
        self.address = address
        self.session_s = session_s
        self._admin = admin
        self._reader = reader
        self._reading = asyncio.Lock()

    def place(self, topic: Topic, partition: int) -> TopicPartition:
        return TopicPartition(self.address.named(topic.name), partition)

    def places(self, topic: Topic) -> list[TopicPartition]:
        return [self.place(topic, partition) for partition in range(topic.partitions)]

    @contextmanager
    def named(self, trouble: str) -> Iterator[None]:
        """Kafka's many errors, with the name of the cluster and what it could not do."""
        try:
            yield
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka at {self.address.bootstrap} {trouble}: {error!r}") from error

    async def answers(self) -> None:
        """Raises LogUnavailable unless a broker answers within a moment."""
        with self.named("does not answer"):
            async with asyncio.timeout(_PATIENCE_S):
                await self._admin.list_topics()

    async def begins(self, topic: Topic) -> dict[int, int]:
        """By partition, the offset of the oldest entry that is still there."""
        with self.named("does not tell where it begins"):
            async with self._reading:
                return _by_partition(await self._reader.beginning_offsets(self.places(topic)))

    async def ends(self, topic: Topic) -> dict[int, int]:
        """By partition, the offset after the last committed entry."""
        begins = await self.begins(topic)
        with self.named("does not tell where it ends"):
            async with self._reading:
                ends = await self._reader.end_offsets(self.places(topic))
                return {
                    place.partition: await self._after_last_entry(place, begins[place.partition], end)
                    for place, end in ends.items()
                }

    async def at(self, topic: Topic, moment: datetime) -> dict[int, int]:
        """By partition, the first entry whose time is not before `moment`; partitions without one are left out."""
        with self.named("does not tell what stood where"):
            async with self._reading:
                wanted = dict.fromkeys(self.places(topic), milliseconds(moment))
                found = await self._reader.offsets_for_times(wanted)
        return {place.partition: known.offset for place, known in found.items() if known is not None}

    async def committed(self, group: str, topic: Topic) -> dict[int, tuple[int, StatePlace | None]]:
        """By partition, what the group has committed: its position, and where its state lies."""
        with self.named(f"does not tell the positions of {group}"):
            found = await self._admin.list_consumer_group_offsets(
                self.group(group, topic), partitions=self.places(topic)
            )
        return {
            place.partition: (max(0, known.offset), StatePlace.read(known.metadata))
            for place, known in found.items()
        }

    def group(self, group: str, topic: Topic) -> str:
        """The group's name in the cluster: members on another topic must not take part in its rebalances."""
        return self.address.named(group, topic.name)

    async def groups(self, topic: Topic) -> list[str]:
        """The groups on `topic` that are known here."""
        prefix, suffix = self.address.named(""), f".{topic.name}"
        with self.named("does not tell its groups"):
            names = [name for name, *_ in await self._admin.list_consumer_groups()]
        return [
            name.removeprefix(prefix).removesuffix(suffix)
            for name in names
            if name.startswith(prefix) and name.endswith(suffix)
        ]

    async def read(self, place: TopicPartition, first: int, last: int) -> list[ConsumerRecord]:
        """The committed records from offset `first` up to and including `last`."""
        with self.named("cannot be read"):
            async with self._reading:
                return [record async for record in self._scan(place, first, last + 1)]

    async def delete_before(self, topic: Topic, offsets: Mapping[int, int]) -> None:
        """Delete the entries below these offsets, by partition."""
        wanted = {
            self.place(topic, p): RecordsToDelete(before_offset=offset) for p, offset in offsets.items()
        }
        with self.named("cannot be trimmed"):
            await self._admin.delete_records(wanted)

    async def _after_last_entry(self, place: TopicPartition, begin: int, end: int) -> int:
        """Transactions leave marks that are no entries: look back from the end until there is one."""
        step = 2
        while True:
            start = max(begin, end - step)
            last = None
            async for record in self._scan(place, start, end):
                last = record
            if last is not None:
                return int(last.offset) + 1
            if start == begin:
                return begin
            step *= 8

    async def _scan(self, place: TopicPartition, start: int, end: int) -> AsyncIterator[ConsumerRecord]:
        """Records of one partition with start <= offset < end; the caller holds the reader."""
        if start >= end:
            return
        self._reader.seek(place, start)
        self._reader.resume(place)
        heard_s = time.monotonic()
        try:
            while await self._reader.position(place) < end:
                for records in (await self._reader.getmany(place, timeout_ms=200)).values():
                    heard_s = time.monotonic()
                    for record in records:
                        if record.offset < end:
                            yield record
                if time.monotonic() - heard_s > self.session_s:
                    raise TimeoutError(
                        f"{place.topic}/{place.partition} gave nothing for {self.session_s:.0f} s"
                    )
        finally:
            self._reader.pause(place)


@asynccontextmanager
async def reached(address: KafkaAddress, session_s: float) -> AsyncIterator[Cluster]:
    """A cluster that has our topics. Raises KafkaError, OSError, MissingPartError."""
    clients = address.clients()
    admin = AIOKafkaAdminClient(**clients)
    reader = AIOKafkaConsumer(
        **clients, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await admin.start()
        await inspect(admin, address)
        await reader.start()
        # All at once and for good: the client asks for the cluster's map anew whenever its assignment changes. What is
        # paused is not fetched.
        places = [
            TopicPartition(address.named(name), partition)
            for name, topic in wanted(1).items()
            for partition in range(topic.num_partitions)
        ]
        reader.assign(places)
        reader.pause(*places)
        yield Cluster(address, admin, reader, session_s)
    finally:
        await goodbye(reader.stop())
        await goodbye(admin.close())


async def goodbye(closing: Coroutine[Any, Any, None]) -> None:
    """A client that cannot say goodbye, or takes too long over it, is gone all the same."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await closing
    except (KafkaError, OSError, TimeoutError) as error:
        logger.info("a Kafka client did not close cleanly: %r", error)


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}
