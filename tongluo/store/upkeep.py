"""What a hypertable of readings needs from time to time: aggregates refreshed, old chunks compressed or dropped.

TimescaleDB's own policies are not used. Its scheduler may not run them; a refresh policy hides what is older than its
window once it has run; and a retention policy knows neither a replay's event times nor our setting.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.store.series import AGGREGATES, FRESH, ceiling, floor

_STEP: Final = timedelta(microseconds=1)
# What is younger is read from the readings (FRESH); the aggregates are ready before it comes to them.
_SETTLED: Final = FRESH / 2

# Until then a chunk is written to; late ones that come afterwards are let in, at a price.
COMPRESS_AFTER: Final = timedelta(days=14)
_COMPRESSED: Final = ("reading", "reading_5m", "reading_1h")

_OLD_CHUNKS: Final = text(
    "SELECT c::text FROM show_chunks(CAST(:name AS regclass), older_than => :edge) AS c"
)
_COMPRESS: Final = text("SELECT compress_chunk(CAST(:chunk AS regclass))")
_CHUNKS: Final = text(
    "SELECT range_start, range_end FROM timescaledb_information.chunks "
    "WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading' ORDER BY range_start"
)

_KNOWN: Final = text(
    "SELECT EXISTS (SELECT FROM reading_5m WHERE bucket > :day AND bucket < :begin - interval '5 minutes')"
)
_REFRESH: Final = text("CALL refresh_continuous_aggregate(CAST(:name AS regclass), :first, :last)")


async def refresh(engine: AsyncEngine, now: datetime) -> None:
    """Bring the aggregates up to date with the readings that are there; only what changed since is computed.

    Where no chunk is, readings may have been dropped, and a refresh would drop their aggregates after them: such times
    are left alone. Chunk after chunk, so that what is done stays done and no transaction is long. `now` is the wall's.
    """
    async with _autocommitting(engine) as connection:
        for begin, end in (await connection.execute(_CHUNKS)).all():
            # The bucket that ends where the chunk begins has its last moment in it.
            known = await connection.scalar(_KNOWN, {"day": begin - timedelta(days=1), "begin": begin})
            first = begin if known else begin - timedelta(days=1)
            for aggregate, width in reversed(AGGREGATES):
                window = _whole(first, min(end, now - _SETTLED), width)
                if window is not None:
                    await connection.execute(_REFRESH, {"name": aggregate.value, **window})


def _whole(begin: datetime, end: datetime, width: timedelta) -> dict[str, datetime] | None:
    """The window of the whole buckets within, as TimescaleDB counts them (migration 0002)."""
    first, last = ceiling(begin, width), floor(end, width)
    return {"first": first + _STEP, "last": last + _STEP} if first < last else None


async def drop_before(engine: AsyncEngine, edge: datetime) -> int:
    """Drop the chunks that end at or before `edge`; returns how many. The aggregates keep what they know."""
    async with engine.begin() as connection:
        dropped = await connection.scalars(text("SELECT drop_chunks('reading', :edge)"), {"edge": edge})
        return len(dropped.all())


async def compress(engine: AsyncEngine, now: datetime) -> int:
    """Compress the chunks that have settled, and again those that late ones came to; returns how many were looked at.

    Each in a transaction of its own, as late readings for it wait meanwhile.
    """
    looked_at = 0
    async with _autocommitting(engine) as connection:
        for name in _COMPRESSED:
            edge = {"name": name, "edge": now - COMPRESS_AFTER}
            for chunk in (await connection.scalars(_OLD_CHUNKS, edge)).all():
                await connection.execute(_COMPRESS, {"chunk": chunk})
                looked_at += 1
    return looked_at


@asynccontextmanager
async def _autocommitting(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """What TimescaleDB does in transactions of its own cannot be called within one."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")
