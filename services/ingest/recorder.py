"""The record role: readings and quarantine from the log into the store, each exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import bells, wire
from tongluo.clock import wall_now
from tongluo.detection import Detection
from tongluo.errors import WireError
from tongluo.log.port import Log, Stored
from tongluo.reading import Reading
from tongluo.store import detections as detecting
from tongluo.store import partitions
from tongluo.store import quarantine as quarantining
from tongluo.store.consume import StoreConsumer
from tongluo.store.engine import ring
from tongluo.store.layout import Layout
from tongluo.store.readings import Write, by_copy
from tongluo.topics import DETECTIONS, QUARANTINE, READINGS

GROUP: Final = "record"

# A late reading may fall into a compressed chunk. Earlier releases of TimescaleDB unpack what lies around it, and refuse
# the batch, again and again, where that is more than a limit.
_LET_LATE_ONES_IN: Final = text("SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0")


def readings(log: Log, engine: AsyncEngine, layout: Layout) -> StoreConsumer:
    return StoreConsumer(
        log, engine, GROUP, READINGS, Recorder(engine, layout).keep, batch_size=200, gather_s=0.05
    )


def detections(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, DETECTIONS, keep_detections, batch_size=500)


def quarantine(log: Log, engine: AsyncEngine) -> StoreConsumer:
    # Refused messages may be large: few at a time keep memory bounded.
    return StoreConsumer(log, engine, GROUP, QUARANTINE, keep_refusals, batch_size=20)


@dataclass(frozen=True)
class Recorder:
    """Writes readings, and on plain PostgreSQL sees to it that their months are there."""

    engine: AsyncEngine
    layout: Layout
    write: Write = by_copy

    async def keep(self, connection: AsyncConnection, entries: Sequence[Stored]) -> None:
        """The effect of a batch, in the caller's transaction."""
        found: list[Reading] = []
        for entry in entries:
            try:
                found.extend(wire.READINGS.decode(entry.value).each())
            except WireError as error:
                await quarantining.set_aside(connection, READINGS, entry, error)
        match self.layout:
            case Layout.MONTHS:
                await partitions.ensure(connection, self.engine, (reading.time for reading in found))
            case Layout.HYPERTABLE:
                await connection.execute(_LET_LATE_ONES_IN)
        await self.write(connection, found, wall_now())
        await ring(connection, bells.READINGS)


async def keep_detections(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[Detection] = []
    for entry in entries:
        try:
            found.append(wire.DETECTION.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, DETECTIONS, entry, error)
    await detecting.keep(connection, found, wall_now())


async def keep_refusals(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    for entry in entries:
        try:
            await quarantining.keep(connection, wire.REFUSAL.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, QUARANTINE, entry, error)
