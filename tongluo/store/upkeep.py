"""What a hypertable of readings needs from time to time: aggregates refreshed, old chunks compressed or dropped.

TimescaleDB has a scheduler of its own, which cannot be relied on (no workers left, a job that fails each time, no
scheduler at all): what it has not done is done from here. It is not told when to refresh or to drop: a policy knows
neither what was dropped already nor the event times of a replay.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.store.series import AGGREGATES, FRESH, ceiling, floor

_STEP: Final = timedelta(microseconds=1)
# What is younger is read from the readings (FRESH); the aggregates are ready before it comes to them.
_SETTLED: Final = FRESH / 2

# Twice the interval: a job may be under way. '-infinity', which no client understands, stays in the server.
_OVERDUE: Final = text(
    "SELECT j.job_id FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.job_stats s "
    "USING (job_id) WHERE j.proc_name = 'policy_compression' AND coalesce(s.last_successful_finish, '-infinity') "
    "  < now() - 2 * j.schedule_interval ORDER BY j.job_id"
)
_CHUNKS: Final = text(
    "SELECT range_start, range_end FROM timescaledb_information.chunks "
    "WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading' ORDER BY range_start"
)

_KNOWN: Final = text(
    "SELECT EXISTS (SELECT FROM reading_5m WHERE bucket > :day AND bucket < :begin - interval '5 minutes')"
)
_REFRESH: Final = text("CALL refresh_continuous_aggregate(CAST(:name AS regclass), :first, :last)")

Range = tuple[datetime, datetime]


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, those that touch as one."""
    found: list[Range] = []
    for begin, end in ranges:
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


async def refresh(engine: AsyncEngine, now: datetime) -> None:
    """Bring the aggregates up to date with the readings that are there; only what changed since is computed.

    Where no chunk is, readings may have been dropped, and a refresh would drop their aggregates after them: such times
    are left alone. `now` is the wall's.
    """
    async with _autocommitting(engine) as connection:
        chunks = [(row.range_start, row.range_end) for row in await connection.execute(_CHUNKS)]
        for begin, end in joined(chunks):
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


async def run_overdue(engine: AsyncEngine) -> int:
    """Run the compression that TimescaleDB's scheduler should have run and did not; returns how many jobs."""
    async with _autocommitting(engine) as connection:
        jobs = (await connection.scalars(_OVERDUE)).all()
        for job in jobs:
            await connection.execute(text("CALL run_job(:job)"), {"job": job})
    return len(jobs)


@asynccontextmanager
async def _autocommitting(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """What TimescaleDB does in transactions of its own cannot be called within one."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")
