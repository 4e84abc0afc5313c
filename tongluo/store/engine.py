"""Opening the store: SQLAlchemy on psycopg, one engine a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tongluo.postgres import options


def sqlalchemy_url(dsn: str) -> str:
    """A libpq URL as SQLAlchemy wants it, with psycopg as the driver."""
    return make_url(dsn).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@asynccontextmanager
async def open_store(dsn: str, *, pool_size: int = 10, relaxed: bool = False) -> AsyncIterator[AsyncEngine]:
    """The engine over `dsn`; connections are checked before use, so a restarted server is met again by itself.

    `relaxed`: commits do not wait for the disk, for what would be done again (tongluo.postgres.conninfo).
    """
    engine = create_async_engine(
        sqlalchemy_url(dsn),
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        connect_args={"options": options(relaxed=relaxed)},
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


async def ring(connection: AsyncConnection, bell: str) -> None:
    """Wake whoever listens for `bell` once this transaction has committed."""
    await connection.execute(text("SELECT pg_notify('tongluo', :bell)"), {"bell": bell})
