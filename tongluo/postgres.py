"""PostgreSQL connections of Tongluo: opened one way, and one listener that wakes whoever waits."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from tongluo.supervise import Pulse

Connection = psycopg.AsyncConnection[TupleRow]

# A peer that vanished without a word is noticed in about 20 s, so that its locks are given back.
_CARE = "keepalives=1 keepalives_idle=10 keepalives_interval=5 keepalives_count=2 connect_timeout=10"


def conninfo(dsn: str, *, relaxed: bool = False) -> str:
    """A DSN with what every connection of ours has in common.

    `relaxed` is for transactions that would simply be done again: their commit does not wait for the disk. Such a
    commit is atomic and in order as ever; only a crash of the server itself can undo the last fraction of a second.
    """
    return make_conninfo(dsn, options=options(relaxed=relaxed), **conninfo_to_dict(_CARE))


def options(*, relaxed: bool = False) -> str:
    """Session settings.

    Times are UTC whatever the server's own zone is. Plans are made for the values at hand: one kept from when a table
    was almost empty has been seen to take minutes over a thousand rows.
    """
    return "-c TimeZone=UTC -c plan_cache_mode=force_custom_plan" + (
        " -c synchronous_commit=off" if relaxed else ""
    )


async def connect(dsn: str, *, relaxed: bool = False) -> Connection:
    """An autocommit connection; transactions are opened explicitly. Raises psycopg.OperationalError."""
    return await psycopg.AsyncConnection.connect(conninfo(dsn, relaxed=relaxed), autocommit=True)


class Listener:
    """Turns NOTIFY on a few channels into events that coroutines can wait for.

    A lost connection wakes everyone (they look for themselves) and is opened again.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._bells: dict[str, set[asyncio.Event]] = {}

    @asynccontextmanager
    async def bell(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """An event set at each NOTIFY on `channel`. Clear it, look, and only then wait: nothing is missed."""
        bell = asyncio.Event()
        bells = self._bells.setdefault(channel, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)

    async def run(self, pulse: Pulse) -> None:
        """Listen until cancelled. Raises psycopg.OperationalError when the server goes away: run it again."""
        connection = await connect(self._dsn)
        try:
            await connection.execute("LISTEN tongluo")
            pulse.beat()
            self._ring_all()
            async for notice in connection.notifies():
                for bell in self._bells.get(notice.payload, ()):
                    bell.set()
        finally:
            self._ring_all()
            with suppress(psycopg.Error):
                await connection.close()

    def _ring_all(self) -> None:
        for bells in self._bells.values():
            for bell in bells:
                bell.set()


async def wait(bell: asyncio.Event, timeout_s: float) -> None:
    """Wait for the bell, at most `timeout_s` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await bell.wait()


def lock_number(name: str) -> int:
    """A name as a non-negative number for advisory locks."""
    return zlib.crc32(b"tongluo/" + name.encode()) & 0x7FFF_FFFF
