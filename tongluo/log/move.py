"""Moving the event log from PostgreSQL to Kafka: entries, positions and states, so that nothing is done twice or left.

Entries keep their partitions and their order; an entry's place becomes its old one less that of the oldest entry that
was kept, as Kafka counts from nought.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import msgspec

from tongluo.errors import MissingPartError
from tongluo.log.kafka import KafkaLog
from tongluo.log.port import Assigned, Consumer, Entry, Snapshot
from tongluo.postgres import Connection
from tongluo.topics import TOPICS, Topic

_BATCH: Final = 2000
Progress = Callable[[str], None]


class Place(msgspec.Struct, frozen=True):
    """What a group had committed for one partition."""

    group: str
    partition: int
    position: int
    snapshot: Snapshot | None


async def move_log(source: Connection, target: KafkaLog, progress: Progress) -> dict[Topic, dict[int, int]]:
    """Copy the log into empty topics; returns by topic and partition how far offsets have moved back.

    Raises MissingPartError if the topics are not empty: what is in them is somebody's.
    """
    moved: dict[Topic, dict[int, int]] = {}
    for topic in TOPICS:
        if any((await target.ends(topic)).values()):
            raise MissingPartError(
                f"the topic {topic.name} is not empty: name a namespace of its own in --log (kafka://…/NAMESPACE)"
            )
    for topic in TOPICS:
        moved[topic] = await _begins(source, topic)
        count = 0
        async for entries in _entries(source, topic):
            await target.append(entries)
            count += len(entries)
            progress(f"{topic.name}: {count} entries")
        for group, places in _by_group(await _places(source, topic)):
            await _commit(target, topic, group, [_moved(place, moved[topic]) for place in places])
            progress(f"{topic.name}: the place of {group}")
    return moved


async def _begins(source: Connection, topic: Topic) -> dict[int, int]:
    """By partition, the oldest entry that is still there; where nothing is left, the place of the next."""
    cursor = await source.execute(
        'SELECT p.partition, coalesce(min(e."offset"), p.next_offset) FROM log_partition p '
        "LEFT JOIN log_entry e USING (topic, partition) WHERE p.topic = %s GROUP BY p.partition, p.next_offset",
        (topic.name,),
    )
    return dict(await cursor.fetchall())


async def _entries(source: Connection, topic: Topic) -> AsyncIterator[list[Entry]]:
    """In order within each partition, as many at a time as make a good batch."""
    async with source.transaction(), source.cursor("entries", binary=True) as cursor:
        await cursor.execute(
            'SELECT key, value, event_time FROM log_entry WHERE topic = %s ORDER BY partition, "offset"',
            (topic.name,),
        )
        while rows := await cursor.fetchmany(_BATCH):
            yield [Entry(topic, key, bytes(value), time) for key, value, time in rows]


async def _places(source: Connection, topic: Topic) -> list[Place]:
    cursor = await source.execute(
        "SELECT p.consumer_group, p.partition, p.next_offset, s.at_offset, s.value FROM log_position p "
        "LEFT JOIN log_snapshot s USING (consumer_group, topic, partition) WHERE p.topic = %s ORDER BY 1, 2",
        (topic.name,),
    )
    return [
        Place(group, partition, position, None if at is None else Snapshot(at, bytes(value)))
        for group, partition, position, at, value in await cursor.fetchall()
    ]


def _by_group(places: Iterable[Place]) -> list[tuple[str, list[Place]]]:
    found: dict[str, list[Place]] = {}
    for place in places:
        found.setdefault(place.group, []).append(place)
    return list(found.items())


def _moved(place: Place, begins: dict[int, int]) -> Place:
    begin = begins[place.partition]
    snapshot = place.snapshot
    if snapshot is not None:
        snapshot = Snapshot(max(0, snapshot.offset - begin), snapshot.value)
    return Place(place.group, place.partition, max(0, place.position - begin), snapshot)


async def _commit(target: KafkaLog, topic: Topic, group: str, places: list[Place]) -> None:
    """As the group's only member, say what it has done."""
    async with target.join(group, topic) as consumer:
        await _owned(consumer, {place.partition for place in places})
        for place in places:
            await consumer.commit(place.partition, place.position, (), place.snapshot)


async def _owned(consumer: Consumer, wanted: set[int]) -> None:
    owned: set[int] = set()
    while not wanted <= owned:
        event = await consumer.next(timeout_s=1.0)
        if isinstance(event, Assigned):
            owned.update(event.partitions)
