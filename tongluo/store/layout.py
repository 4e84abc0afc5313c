"""How readings lie in this store: looked up once at opening, since only a migration changes it."""

import enum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


class Layout(enum.StrEnum):
    """What table `reading` is."""

    MONTHS = "monthly partitions"
    HYPERTABLE = "TimescaleDB hypertable with aggregates"


async def layout_of(engine: AsyncEngine) -> Layout:
    """The layout of a migrated store."""
    async with engine.connect() as connection:
        kind = await connection.scalar(
            text("SELECT relkind::text FROM pg_class WHERE oid = 'reading'::regclass")
        )
    return Layout.MONTHS if kind == "p" else Layout.HYPERTABLE
