"""The record role: readings and quarantine from the log into the store, each exactly once."""

import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import wire
from tongluo.clock import wall_now
from tongluo.log.port import Log, Stored
from tongluo.reading import Reading, Refusal
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

# The same bytes for the same reason are one row that counts, so that a broken gateway cannot fill the page.
_QUARANTINE: Final = text(
    "INSERT INTO quarantine AS q (id, gateway, topic, code, reason, payload, times, received, last_seen) "
    "VALUES (:id, :gateway, :topic, :code, :reason, :payload, 1, :received, :received) "
    "ON CONFLICT (id) DO UPDATE SET times = q.times + 1, reason = excluded.reason, "
    "  last_seen = greatest(q.last_seen, excluded.last_seen)"
)


def readings(log: Log, engine: AsyncEngine) -> StoreConsumer:
    return StoreConsumer(log, engine, GROUP, READINGS, keep_readings, batch_size=2000)


def quarantine(log: Log, engine: AsyncEngine) -> StoreConsumer:
    # Refused messages may be large: few at a time keep memory bounded.
    return StoreConsumer(log, engine, GROUP, QUARANTINE, keep_refusals, batch_size=20)


async def keep_readings(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    found: list[Reading] = [wire.READING.decode(entry.value) for entry in entries]
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
    await ring(connection, "readings")


async def keep_refusals(connection: AsyncConnection, entries: Sequence[Stored]) -> None:
    for entry in entries:
        refusal = wire.REFUSAL.decode(entry.value)
        await connection.execute(
            _QUARANTINE,
            {
                "id": refusal_id(refusal),
                "gateway": _storable(refusal.gateway),
                "topic": _storable(refusal.topic),
                "code": refusal.code,
                "reason": _storable(refusal.reason),
                "payload": refusal.payload,
                "received": refusal.received,
            },
        )


def refusal_id(refusal: Refusal) -> str:
    """The same bytes from the same topic for the same cause have the same id."""
    digest = hashlib.sha256(b"\x00".join((refusal.topic.encode(), refusal.code.encode(), refusal.payload)))
    return digest.hexdigest()[:24]


def _storable(words: str) -> str:
    """PostgreSQL's text cannot hold NUL; what a hostile gateway sends may."""
    return words.replace("\x00", "\N{REPLACEMENT CHARACTER}")
