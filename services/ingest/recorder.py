"""The record role: readings, detections, what rules on trial found, quarantine and what gateways say of themselves, from
the log into the store, each exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import bells, wire
from tongluo.clock import wall_now
from tongluo.detection import Detection
from tongluo.errors import WireError
from tongluo.finding import Finding
from tongluo.gateway import GatewayStatus
from tongluo.log.port import Log, Stored
from tongluo.reading import Reading
from tongluo.store import detections as detecting
from tongluo.store import gateways as gateway_states
from tongluo.store import heard, partitions, shadow_findings
from tongluo.store import quarantine as quarantining
from tongluo.store.consume import StoreConsumer
from tongluo.store.engine import ring
from tongluo.store.layout import Layout
from tongluo.store.readings import Write, by_copy
from tongluo.topics import DETECTIONS, QUARANTINE, READINGS, SHADOW, STATUS

GROUP: Final = "record"

# A late reading may fall into a compressed chunk. Earlier releases of TimescaleDB unpack what lies around it, and refuse
# the batch, again and again, where that is more than a limit.
_LET_LATE_ONES_IN: Final = text("SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0")


def readings(log: Log, engine: AsyncEngine, layout: Layout, *, event_time: bool = False) -> StoreConsumer:
    """`event_time`: stations count as heard at their readings' own times (replay mode)."""
    keep = Recorder(engine, layout, event_time=event_time).keep
    return StoreConsumer(log, engine, GROUP, READINGS, keep, batch_size=200, gather_s=0.05)


def detections(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, DETECTIONS, keep_detections, batch_size=500)


def shadow(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, SHADOW, keep_shadow, batch_size=500)


def quarantine(log: Log, engine: AsyncEngine) -> StoreConsumer:
    # Refused messages may be large: few at a time keep memory bounded.
    return StoreConsumer(log, engine, GROUP, QUARANTINE, keep_refusals, batch_size=20)


def gateways(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, STATUS, keep_statuses, batch_size=500)


@dataclass(frozen=True)
class Recorder:
    """Writes readings, and on plain PostgreSQL sees to it that their months are there."""

    engine: AsyncEngine
    layout: Layout
    write: Write = by_copy
    event_time: bool = False

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
        now = wall_now()
        await self.write(connection, found, now)
        await heard.note(connection, found, None if self.event_time else now)
        await ring(connection, bells.READINGS)


async def keep_detections(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[Detection] = []
    for entry in entries:
        try:
            found.append(wire.DETECTION.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, DETECTIONS, entry, error)
    await detecting.keep(connection, found, wall_now())


async def keep_shadow(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[Finding] = []
    for entry in entries:
        try:
            found.append(wire.FINDING.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, SHADOW, entry, error)
    await shadow_findings.keep(connection, found, wall_now())


async def keep_refusals(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    for entry in entries:
        try:
            await quarantining.keep(connection, wire.REFUSAL.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, QUARANTINE, entry, error)


async def keep_statuses(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[GatewayStatus] = []
    for entry in entries:
        try:
            found.append(wire.STATUS.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, STATUS, entry, error)
    await gateway_states.keep(connection, found)
    await ring(connection, bells.EVENTS)
