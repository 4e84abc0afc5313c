"""Readings put straight into Kafka: as a backlog that becomes visible all at once, or simply appended."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaProducer

from benchmarks.county import gateway_of, site_of, station_of
from benchmarks.load import EVERY, rain
from tongluo import wire
from tongluo.clock import milliseconds
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Entry
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.topics import READINGS

# What ingest writes in one go is of this order.
_RECORDS_PER_BATCH = 500


def entry(number: int, first: datetime, step: int) -> Entry:
    """The reading of one gauge, `step` intervals after `first`, as ingest would append it."""
    moment = first + step * EVERY
    reading = Reading(
        station_of(number), "rain", moment, rain(number, step), site_of(number), gateway_of(number)
    )
    return Entry(READINGS, reading.site, wire.READINGS.encode(gathered([reading])), moment)


def entries(stations: int, steps: int, first: datetime) -> Iterator[Entry]:
    """`steps` readings of every gauge, in order of event time."""
    return (entry(number, first, step) for step in range(steps) for number in range(1, stations + 1))


@asynccontextmanager
async def hidden_backlog(address: KafkaAddress, backlog: Iterator[Entry]) -> AsyncIterator[None]:
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


async def _write(producer: AIOKafkaProducer, address: KafkaAddress, backlog: Iterator[Entry]) -> None:
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
