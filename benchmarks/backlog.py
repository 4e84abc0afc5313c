"""Readings put straight into the log, batched as ingest would, and counted there."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count, islice

from aiokafka import AIOKafkaProducer

from benchmarks.county import gateway_of, site_of, station_of
from benchmarks.load import EVERY, rain
from services.ingest.service import BATCH_MESSAGES
from tongluo import wire
from tongluo.clock import milliseconds
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Assigned, Batch, Entry, Log
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.topics import READINGS

_counts = count(1)
_WITHIN_S = 120.0

# What goes to one partition in one request.
_RECORDS_PER_BATCH = 50


def reading(number: int, first: datetime, step: int) -> Reading:
    """What one gauge says `step` intervals after `first`."""
    moment = first + step * EVERY
    return Reading(
        station_of(number), "rain", moment, rain(number, step), site_of(number), gateway_of(number)
    )


def entries(stations: int, steps: int, first: datetime) -> Iterator[Entry]:
    """`steps` readings of every gauge, in order of event time."""
    return batched(reading(number, first, step) for step in range(steps) for number in range(1, stations + 1))


def batched(readings: Iterable[Reading]) -> Iterator[Entry]:
    """As a busy ingest appends messages of one reading: five hundred at a time, and of these one entry a partition."""
    left = iter(readings)
    while several := list(islice(left, BATCH_MESSAGES)):
        by_partition: dict[int, list[Reading]] = {}
        for one in several:
            by_partition.setdefault(READINGS.partition_of(one.site), []).append(one)
        for part in by_partition.values():
            newest = max(one.time for one in part)
            yield Entry(READINGS, part[0].site, wire.READINGS.encode(gathered(part)), newest)


async def readings_between(log: Log, begin: Mapping[int, int], end: Mapping[int, int]) -> int:
    """How many readings the log's entries hold from `begin` (0 where nothing is said) up to `end`."""
    found, place = 0, {partition: begin.get(partition, 0) for partition in end}
    async with (
        log.join(f"count-{os.getpid()}-{next(_counts)}", READINGS, commits=False) as consumer,
        asyncio.timeout(_WITHIN_S),
    ):
        while place != end:
            match await consumer.next(timeout_s=1.0):
                case Assigned(partitions):
                    for partition in partitions:
                        consumer.seek(partition, place[partition])
                case Batch() as batch:
                    taken = [entry for entry in batch.entries if entry.offset < end[entry.partition]]
                    found += sum(len(wire.READINGS.decode(entry.value)) for entry in taken)
                    reached = batch.positions()
                    place |= {partition: min(reached[partition], end[partition]) for partition in reached}
    return found


@asynccontextmanager
async def hidden_backlog(address: KafkaAddress, backlog: Iterable[Entry]) -> AsyncIterator[None]:
    """Write `backlog` in one transaction that is committed when the context ends: until then nobody sees it."""
    producer = AIOKafkaProducer(
        **address.clients(),
        transactional_id=address.named("backlog"),
        transaction_timeout_ms=300_000,
        max_batch_size=1024 * 1024,
        linger_ms=0,
    )
    await producer.start()
    try:
        async with producer.transaction():
            await _write(producer, address, backlog)
            yield
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, address: KafkaAddress, backlog: Iterable[Entry]) -> None:
    topic = address.named(READINGS.name)
    waiting: dict[int, list[Entry]] = {partition: [] for partition in range(READINGS.partitions)}

    async def send(partition: int) -> None:
        batch = producer.create_batch()
        for one in waiting[partition]:
            batch.append(timestamp=milliseconds(one.time), key=one.key.encode(), value=one.value)
        sent.append(await producer.send_batch(batch, topic, partition=partition))
        waiting[partition] = []

    sent: list[asyncio.Future[object]] = []
    for one in backlog:
        partition = READINGS.partition_of(one.key)
        waiting[partition].append(one)
        if len(waiting[partition]) == _RECORDS_PER_BATCH:
            await send(partition)
    for partition, left in waiting.items():
        if left:
            await send(partition)
    await asyncio.gather(*sent)
