"""The MQTT broker from the `iotcore` wheel (rumqttd), in a process of its own."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psutil

from services.embedded import process
from services.embedded.folder import prepare_folder
from services.embedded.ports import accepts, require_free
from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse

# Above what ingest takes (512 KiB), so that an oversized message reaches quarantine instead of a closed socket.
MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
_START_S: Final = 10.0


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
            process.end(self._record.pid, signal.SIGTERM)
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


def is_running(record: BrokerRecord) -> bool:
    """Whether the recorded process is still the one we started: its number may have passed on to another."""
    try:
        same = abs(psutil.Process(record.pid).create_time() - record.created_s) < 1.0
    except psutil.Error:
        return False
    return same and process.lives(record.pid)


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
    process.end(record.pid, signal.SIGTERM)
    return None


def _start_broker(home: Path, port: int, port_v5: int) -> BrokerRecord:
    require_free(port, "MQTT 3.1.1", "TONGLUO_MQTT_PORT")
    require_free(port_v5, "MQTT 5", "TONGLUO_MQTT5_PORT")
    config = home / "rumqttd.toml"
    config.write_text(_broker_config(port, port_v5))
    with (home / "log").open("ab") as log:
        started = subprocess.Popen(  # noqa: S603 - our own interpreter and a constant program
            [sys.executable, "-c", _BROKER_PROGRAM, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            # Its own session: Ctrl-C is for us, and our crash is not its end.
            start_new_session=True,
        )
    record = BrokerRecord(started.pid, psutil.Process(started.pid).create_time(), port, port_v5)
    (home / "broker.json").write_bytes(msgspec.json.encode(record))
    deadline = time.monotonic() + _START_S
    while not (accepts(port) and accepts(port_v5)):
        if started.poll() is not None or time.monotonic() > deadline:
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
