"""History from the store: its readings copied out in slices of time, its silences and detections."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.detection import Detection
from tongluo.liveness import StationEvent
from tongluo.store.silences import event_of

SLICE: Final = timedelta(days=7)
_COPY: Final = (
    "COPY (SELECT station, metric, (extract(epoch FROM time) * 1000000)::bigint, value, flags FROM reading "
    "WHERE time > %s AND time <= %s) TO STDOUT (FORMAT csv)"
)
_SILENCES: Final = text("SELECT * FROM station_event WHERE time > :begin AND time <= :end ORDER BY seq")
_DETECTIONS: Final = text(
    "SELECT * FROM detection WHERE time > :begin AND time <= :end ORDER BY time, camera, kind, track"
)


async def span(engine: AsyncEngine) -> tuple[datetime, datetime] | None:
    """When the store's first and last reading are from, if it has any."""
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT min(time), max(time) FROM reading"))).one()
    return (row[0], row[1]) if row[0] is not None else None


async def copy_out(
    engine: AsyncEngine, file: Path, begin: datetime, end: datetime, progress: Callable[[float], None]
) -> None:
    """Write the readings with begin < time <= end to a file that History.take understands."""
    async with engine.connect() as connection:
        with file.open("wb") as out:
            async for piece in _pieces(connection, begin, end, progress):
                out.write(piece)


async def _pieces(
    connection: AsyncConnection, begin: datetime, end: datetime, progress: Callable[[float], None]
) -> AsyncIterator[bytes]:
    driver = cast("psycopg.AsyncConnection[Any]", (await connection.get_raw_connection()).driver_connection)
    after = begin
    while after < end:
        until = min(after + SLICE, end)
        async with driver.cursor() as cursor, cursor.copy(_COPY, (after, until)) as copy:
            async for piece in copy:
                yield bytes(piece)
        after = until
        progress((after - begin) / (end - begin))


async def silences(engine: AsyncEngine, begin: datetime, end: datetime) -> tuple[StationEvent, ...]:
    """Stations that fell silent or spoke again, as it was told then."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_SILENCES, {"begin": begin, "end": end})).mappings()
        return tuple(event_of(row) for row in rows)


async def detections(engine: AsyncEngine, begin: datetime, end: datetime) -> list[Detection]:
    """What cameras saw."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_DETECTIONS, {"begin": begin, "end": end})).mappings()
        names = [name for name in Detection.__struct_fields__ if name not in ("snapshot", "track")]
        return [
            msgspec.convert({**{name: row[name] for name in names}, "track": row["track"] or None}, Detection)
            for row in rows
        ]
