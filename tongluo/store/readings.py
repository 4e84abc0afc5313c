"""Readings into the store, in the caller's transaction: the first of an identity stays, `latest` keeps the newest."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, cast

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.reading import Reading

Write = Callable[[AsyncConnection, Sequence[Reading], datetime], Awaitable[None]]

# From a relation `{source}` with the columns nth, station, metric, time, value, quality, flags, seq. Both go through it in a fixed
# order, so that of two readings with one identity the one that came first stays.
_KEEP: Final = (
    "INSERT INTO reading (station, metric, time, value, quality, flags, seq, recorded) "
    "SELECT station, metric, time, value, quality, flags, seq, :now FROM {source} ORDER BY nth "
    "ON CONFLICT (station, metric, time) DO NOTHING"
)
_KEEP_LATEST: Final = (
    "INSERT INTO latest AS l (station, metric, time, value, quality, flags, recorded) "
    "SELECT DISTINCT ON (station, metric) station, metric, time, value, quality, flags, :now FROM {source} "
    "ORDER BY station, metric, time DESC, nth "
    "ON CONFLICT (station, metric) DO UPDATE SET time = excluded.time, value = excluded.value, "
    "  quality = excluded.quality, flags = excluded.flags, recorded = excluded.recorded WHERE excluded.time > l.time"
)

_TYPES: Final = ("int4", "text", "text", "timestamptz", "float8", "text", "int4", "int8")
# Empty again at every commit; of the session, as making a table costs more than filling it.
_INCOMING: Final = text(
    "CREATE TEMPORARY TABLE IF NOT EXISTS incoming (nth integer, station text, metric text, time timestamptz, "
    "value float8, quality text, flags integer, seq bigint) ON COMMIT DELETE ROWS"
)
_COPY: Final = "COPY incoming FROM STDIN (FORMAT binary)"
_FROM_INCOMING: Final = [text(sql.format(source="incoming")) for sql in (_KEEP, _KEEP_LATEST)]

_ARRAYS: Final = (
    "unnest(CAST(:stations AS text[]), CAST(:metrics AS text[]), CAST(:times AS timestamptz[]), "
    "CAST(:values AS float8[]), CAST(:qualities AS text[]), "
    "CAST(:flags AS int4[]), CAST(:seqs AS int8[])) "
    "WITH ORDINALITY AS r(station, metric, time, value, quality, flags, seq, nth)"
)
_FROM_ARRAYS: Final = [text(sql.format(source=_ARRAYS)) for sql in (_KEEP, _KEEP_LATEST)]


async def by_copy(connection: AsyncConnection, readings: Sequence[Reading], now: datetime) -> None:
    """Over COPY into a temporary table."""
    await connection.execute(_INCOMING)
    driver = cast("psycopg.AsyncConnection[Any]", (await connection.get_raw_connection()).driver_connection)
    async with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for nth, reading in enumerate(readings):
            await copy.write_row(
                (
                    nth,
                    reading.station,
                    reading.metric,
                    reading.time,
                    reading.value,
                    str(reading.quality),
                    reading.flags,
                    reading.seq,
                )
            )
    for statement in _FROM_INCOMING:
        await connection.execute(statement, {"now": now})


async def by_arrays(connection: AsyncConnection, readings: Sequence[Reading], now: datetime) -> None:
    """Over arrays as parameters, for a server that cannot COPY."""
    columns = {
        "now": now,
        "stations": [reading.station for reading in readings],
        "metrics": [reading.metric for reading in readings],
        "times": [reading.time for reading in readings],
        "values": [reading.value for reading in readings],
        "qualities": [str(reading.quality) for reading in readings],
        "flags": [reading.flags for reading in readings],
        "seqs": [reading.seq for reading in readings],
    }
    for statement in _FROM_ARRAYS:
        await connection.execute(statement, columns)
