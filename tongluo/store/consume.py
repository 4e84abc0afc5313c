"""The loop of a consumer whose effect is in the store: effect and place in the log in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.errors import MissingPartError
from tongluo.log.port import Assigned, Batch, Consumer, Log, Stored
from tongluo.store.positions import advance, positions
from tongluo.supervise import Pulse
from tongluo.topics import Topic

# Some twenty thousand readings: a second or so of writing.
PORTION_BYTES: Final = 1024 * 1024

Effect = Callable[[AsyncConnection, tuple[Stored, ...]], Awaitable[None]]


@dataclass(frozen=True)
class StoreConsumer:
    """Applies `effect` to every entry of `topic` exactly once. Run `run` as a role."""

    log: Log
    engine: AsyncEngine
    group: str
    topic: Topic
    effect: Effect
    batch_size: int
    # How long to let entries gather after a batch: fewer, larger transactions where nobody waits for them.
    gather_s: float = 0.0

    async def run(self, pulse: Pulse) -> None:
        async with self.log.join(
            self.group, self.topic, batch_size=self.batch_size, commits=False
        ) as consumer:
            pulse.beat()
            while True:
                event = await consumer.next(timeout_s=5.0)
                if isinstance(event, Assigned):
                    await self._take_up(consumer, event.partitions)
                elif isinstance(event, Batch):
                    for portion in _portions(event):
                        async with self.engine.begin() as connection:
                            await advance(connection, self.group, self.topic, _taken(portion))
                            await self.effect(connection, portion.entries)
                    pulse.count(self.topic.name, len(event.entries))
                    if len(event.entries) < self.batch_size:
                        await asyncio.sleep(self.gather_s)

    async def _take_up(self, consumer: Consumer, partitions: Iterable[int]) -> None:
        places = await positions(self.engine, self.group, self.topic)
        ends = await self.log.ends(self.topic)
        for partition in partitions:
            place, end = places[partition], ends[partition]
            if place > end:
                # Reading on would skip, without a word, everything up to that place.
                raise MissingPartError(
                    f"{self.group} has read {self.topic.name}/{partition} up to {place}, but the log ends at {end}: "
                    "it is not the log this store was filled from; correct TONGLUO_LOG, or clear table "
                    "consumer_position"
                )
            consumer.seek(partition, place)


def _portions(batch: Batch) -> Iterator[Batch]:
    """A batch in transactions of bounded size: entries hold a thousand readings each when much comes in."""
    held: list[Stored] = []
    size = 0
    for entry in batch.entries:
        if held and size + len(entry.value) > PORTION_BYTES:
            yield Batch(tuple(held))
            held, size = [], 0
        held.append(entry)
        size += len(entry.value)
    yield Batch(tuple(held))


def _taken(batch: Batch) -> dict[int, tuple[int, int]]:
    first: dict[int, int] = {}
    for entry in batch.entries:
        first.setdefault(entry.partition, entry.offset)
    return {partition: (first[partition], following) for partition, following in batch.positions().items()}
