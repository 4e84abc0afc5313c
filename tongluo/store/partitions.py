"""The months of table `reading` on plain PostgreSQL: made when a reading of theirs comes, dropped when they are old."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.postgres import lock_number

_NAME: Final = re.compile(r"^reading_(\d{4})_(\d{2})$")
_LOCK: Final = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=lock_number("partitions"))
# Who drops a month holds up everybody for as long as somebody still reads in it: rather try again an hour later.
_PATIENCE: Final = text("SET LOCAL lock_timeout = '5s'")


def month_of(time: datetime) -> datetime:
    """The first moment of a time's month, in UTC."""
    return time.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def following(month: datetime) -> datetime:
    """The first moment of the next month."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def name_of(month: datetime) -> str:
    return f"reading_{month.year:04}_{month.month:02}"


def month_named(name: str) -> datetime | None:
    """The month of a partition, None for a table that is not ours."""
    found = _NAME.match(name)
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC) if found else None


async def ensure(connection: AsyncConnection, engine: AsyncEngine, times: Iterable[datetime]) -> None:
    """Make the months of `times` that are not there yet; `connection` only looks.

    A month is made over a connection of its own and committed at once: whatever becomes of the caller's transaction, no
    lock outlives the making, and an empty month is in nobody's way. Nothing is remembered between calls, as a month may
    be dropped by another process at any time.
    """
    for month in sorted(await _missing(connection, {month_of(time) for time in times})):
        await make(engine, month)


async def make(engine: AsyncEngine, month: datetime) -> None:
    """Make a month, unless another process has just done so."""
    async with engine.begin() as connection:
        # Two that make the same month at once would otherwise meet in the catalogue's unique index.
        await connection.execute(_LOCK)
        if await _missing(connection, {month}):
            await _attach(connection, month)


async def _missing(connection: AsyncConnection, months: set[datetime]) -> set[datetime]:
    by_name = {name_of(month): month for month in months}
    found = await connection.scalars(
        text("SELECT n FROM unnest(CAST(:names AS text[])) AS n WHERE to_regclass(n) IS NULL"),
        {"names": list(by_name)},
    )
    return {by_name[name] for name in found}


async def _attach(connection: AsyncConnection, month: datetime) -> None:
    """Attached rather than created in place: that would lock out everybody who reads or records."""
    name = name_of(month)
    await connection.execute(text(f"CREATE TABLE {name} (LIKE reading INCLUDING ALL)"))
    await connection.execute(
        text(
            f"ALTER TABLE reading ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{month.isoformat()}') TO ('{following(month).isoformat()}')"
        )
    )


async def drop_before(engine: AsyncEngine, edge: datetime) -> int:
    """Drop the months that end at or before `edge`; returns how many. Raises DBAPIError when one is in use."""
    async with engine.connect() as connection:
        names = await connection.scalars(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                "WHERE i.inhparent = to_regclass('reading') ORDER BY 1"
            )
        )
        months = [month for month in map(month_named, names) if month is not None]
    old = [month for month in months if following(month) <= edge]
    for month in old:
        async with engine.begin() as connection:
            await connection.execute(_PATIENCE)
            await connection.execute(text(f"DROP TABLE {name_of(month)}"))
    return len(old)
