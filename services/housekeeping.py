"""The housekeeping role: what nobody needs any more goes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from services.groups import IN_THE_STORE
from tongluo.clock import wall_now
from tongluo.store import partitions, requeue, upkeep
from tongluo.store.layout import Layout
from tongluo.store.positions import positions
from tongluo.supervise import Pulse
from tongluo.topics import EVENTS, SIGNALS, Topic

EVERY_S: Final = 3600.0
_ANYWHERE: Final = 2**62

Trim = Callable[[Mapping[Topic, Mapping[int, int]]], Awaitable[int]]


async def trimming(trim: Trim, engine: AsyncEngine, pulse: Pulse) -> None:
    """Trim the log once an hour, behind the consumers that keep their place in the store."""
    taken: dict[Topic, Mapping[int, int]] = {}
    while True:
        pulse.beat()
        # By the places of an hour ago: the newest commits of the store may still be on their way to its disk, and a
        # crash would ask for their entries again.
        pulse.count("trimmed", await trim(taken))
        taken = {}
        for group, topic in IN_THE_STORE:
            places = await positions(engine, group, topic)
            # Where several groups read a topic, behind the slowest.
            before = taken.get(topic, places)
            taken[topic] = {partition: min(place, before[partition]) for partition, place in places.items()}
        # Nobody keeps a place on them in the store; groups that keep theirs in the log are looked after there.
        for topic in (EVENTS, SIGNALS):
            taken[topic] = dict.fromkeys(range(topic.partitions), _ANYWHERE)
        await asyncio.sleep(EVERY_S)


async def _slowest(engine: AsyncEngine, groups: Iterable[str], topic: Topic) -> dict[int, int]:
    """By partition, the place of the group that has come the least far."""
    places = [await positions(engine, group, topic) for group in groups]
    return {partition: min(place[partition] for place in places) for partition in places[0]}


async def keeping(engine: AsyncEngine, layout: Layout, keep: timedelta | None, pulse: Pulse) -> None:
    """Once an hour drop the readings that are older than `keep` (None: none is), and with TimescaleDB keep house.

    Aggregates are brought up to date first: they outlive the readings they were made from.
    """
    while True:
        pulse.beat()
        now = wall_now()
        if layout is Layout.HYPERTABLE:
            await upkeep.refresh(engine, now)
        if keep is not None:
            drop = upkeep.drop_before if layout is Layout.HYPERTABLE else partitions.drop_before
            pulse.count("dropped", await drop(engine, now - keep))
        if layout is Layout.HYPERTABLE:
            pulse.count("chunks compressed", await upkeep.compress(engine, now))
        pulse.count("passes", 1)
        await asyncio.sleep(EVERY_S)


async def expiring(engine: AsyncEngine, keep: timedelta, most_bytes: int, pulse: Pulse) -> None:
    """Once an hour delete what lies in quarantine for longer than `keep`, or is the oldest beyond `most_bytes`."""
    while True:
        pulse.beat()
        async with engine.begin() as connection:
            pulse.count("expired", await requeue.expire(connection, wall_now() - keep, most_bytes))
        await asyncio.sleep(EVERY_S)
