"""What quality control must know of readings that this process did not take in: those before its start, and others'.

Memory of every series lives in the process. At a start it is made again from the log's last hours; where several
processes share the field, each goes on learning from the log what the others wrote.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

from tongluo import wire
from tongluo.clock import Clock
from tongluo.errors import WireError
from tongluo.log.port import Assigned, Batch, Consumer, Event, Log, Stored
from tongluo.readings import Readings
from tongluo.supervise import Pulse
from tongluo.topics import READINGS

logger = logging.getLogger(__name__)

# The longest default limit of a stuck value is three hours; one that was over it is known by its flag.
LOOK_BACK: Final = timedelta(hours=4)
# At most so many entries of each partition, the newest, each of a thousand readings at most; and so long.
MOST_ENTRIES: Final = 5000
WITHIN_S: Final = 8.0

Learn = Callable[[Readings], Awaitable[None]]


class Follow:
    """Reads the log for one process. `me` is the name its own entries have (`Readings.by`)."""

    def __init__(self, log: Log, clock: Clock, me: str, learn: Learn) -> None:
        self._log = log
        self._clock = clock
        self._me = me
        self._learn = learn
        self._places: dict[int, int] = {}

    async def recall(self) -> None:
        """Learn the log's last hours, within seconds: what is not learned by then stays unknown.

        Raises what the log raises when it is not there.
        """
        learned = 0
        try:
            async with asyncio.timeout(WITHIN_S):
                ends = await self._log.ends(READINGS)
                begins = await self._log.positions_at(READINGS, self._clock.now() - LOOK_BACK)
                self._places = {p: max(begins[p], end - MOST_ENTRIES) for p, end in ends.items()}
                if self._places == ends:
                    return
                async with self._joined() as consumer:
                    while any(self._places[p] < end for p, end in ends.items()):
                        learned += await self._take(consumer, await consumer.next(timeout_s=1.0), before=ends)
        except TimeoutError:
            logger.warning(
                "only %d readings of the last hours were read in %.0f s: quality control begins with these",
                learned,
                WITHIN_S,
            )

    async def run(self, pulse: Pulse) -> None:
        """A role: learn what others write, from where `recall` has ended."""
        if not self._places:
            self._places = await self._log.ends(READINGS)
        async with self._joined() as consumer:
            pulse.beat()
            while True:
                pulse.count("readings", await self._take(consumer, await consumer.next(timeout_s=5.0)))

    def _joined(self) -> AbstractAsyncContextManager[Consumer]:
        # A group of its own: every process reads all of it, and keeps no place there.
        return self._log.join(f"follow-{self._me}", READINGS, batch_size=200, commits=False)

    async def _take(
        self, consumer: Consumer, event: Event | None, before: Mapping[int, int] | None = None
    ) -> int:
        """Learn what an event brings; how many readings. `before`: recalling, all up to there; else only others'."""
        match event:
            case Assigned(partitions):
                for partition in partitions:
                    consumer.seek(partition, self._places[partition])
            case Batch() as batch:
                chosen = [
                    entry
                    for entry in batch.entries
                    if before is None or entry.offset < before[entry.partition]
                ]
                learned = await self._learn_all(chosen, own=before is not None)
                reached = batch.positions()
                if before is not None:
                    reached = {p: min(place, before[p]) for p, place in reached.items()}
                self._places |= reached
                return learned
            case _:
                pass
        return 0

    async def _learn_all(self, entries: Sequence[Stored], *, own: bool) -> int:
        learned = 0
        for entry in entries:
            try:
                readings = wire.READINGS.decode(entry.value)
            except WireError:
                # The recorder sets it aside for people to see.
                continue
            if own or readings.by != self._me:
                await self._learn(readings)
                learned += len(readings)
        return learned
