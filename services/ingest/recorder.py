"""The record role: readings and quarantine from the log into the store, each exactly once."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import bells, wire
from tongluo.clock import wall_now
from tongluo.errors import WireError
from tongluo.log.port import Log, Stored
from tongluo.reading import Reading
from tongluo.store import quarantine as quarantining
from tongluo.store.consume import StoreConsumer
from tongluo.store.engine import ring
from tongluo.topics import QUARANTINE, READINGS

GROUP: Final = "record"

# A reading sent twice counts once: the first one stays.
_KEEP: Final = text(
    "INSERT INTO reading (station, metric, time, value, quality, recorded) "
    "SELECT s, m, t, v, q, :now FROM unnest(CAST(:stations AS text[]), CAST(:metrics AS text[]), "
    "  CAST(:times AS timestamptz[]), CAST(:values AS float8[]), CAST(:qualities AS text[])) AS r(s, m, t, v, q) "
    "ON CONFLICT (station, metric, time) DO NOTHING"
)

_KEEP_LATEST: Final = text(
    "INSERT INTO latest AS l (station, metric, time, value, quality, recorded) "
    "SELECT DISTINCT ON (s, m) s, m, t, v, q, :now FROM unnest(CAST(:stations AS text[]), CAST(:metrics AS text[]), "
    "  CAST(:times AS timestamptz[]), CAST(:values AS float8[]), CAST(:qualities AS text[])) "
    "  WITH ORDINALITY AS r(s, m, t, v, q, nth) ORDER BY s, m, t DESC, nth "
    "ON CONFLICT (station, metric) DO UPDATE SET time = excluded.time, value = excluded.value, "
    "  quality = excluded.quality, recorded = excluded.recorded WHERE excluded.time > l.time"
)


def readings(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, READINGS, keep_readings, batch_size=2000, gather_s=0.05)


def quarantine(log: Log, engine: AsyncEngine) -> StoreConsumer:
    # Refused messages may be large: few at a time keep memory bounded.
    return StoreConsumer(log, engine, GROUP, QUARANTINE, keep_refusals, batch_size=20)


async def keep_readings(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[Reading] = []
    for entry in entries:
        try:
            found.append(wire.READING.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, READINGS, entry, error)
    columns = {
        "now": wall_now(),
        "stations": [reading.station for reading in found],
        "metrics": [reading.metric for reading in found],
        "times": [reading.time for reading in found],
        "values": [reading.value for reading in found],
        "qualities": [str(reading.quality) for reading in found],
    }
    await connection.execute(_KEEP, columns)
    await connection.execute(_KEEP_LATEST, columns)
    await ring(connection, bells.READINGS)


async def keep_refusals(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    for entry in entries:
        try:
            await quarantining.keep(connection, wire.REFUSAL.decode(entry.value))
        except WireError as error:
            await quarantining.set_aside(connection, QUARANTINE, entry, error)
