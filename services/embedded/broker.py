"""The MQTT broker from the `iotcore` wheel (rumqttd) behind a gate of ours, in processes of their own."""

import asyncio
import os
import secrets
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
from services.embedded.gate import GateConfig, GateFile, Private
from services.embedded.ports import accepts, free_port, require_free
from services.embedded.warden import MAX_PACKET_BYTES
from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse

# Two: both cores of a small machine, and ten thousand gateways where a process may have 20,000 files open.
GATES: Final = 2
_START_S: Final = 15.0


class BrokerRecord(msgspec.Struct, frozen=True):
    """What is known of a broker we started, for the start after a crash."""

    pid: int
    created_s: float
    gate: GateConfig
    private: tuple[Private, ...]


class EmbeddedBroker:
    """The broker: gateways come in by the gate, ingest by a door of its own."""

    def __init__(self, folder: Path, config: GateConfig) -> None:
        self.config = config
        self._home = prepare_folder(folder / "mqtt")
        self._record: BrokerRecord | None = None
        # Kept while we live: who is connected finds a broker that was started again in the same place.
        self._private: tuple[Private, ...] = ()

    @property
    def port(self) -> int:
        return self.config.port

    @property
    def port_v5(self) -> int:
        return self.config.port_v5

    @property
    def private(self) -> Private:
        """Past the gate, for this program alone. The broker must have been started."""
        return self.doors[0]

    @property
    def doors(self) -> tuple[Private, ...]:
        """Where the broker itself listens; none before the start."""
        return self._private

    @property
    def pid(self) -> int | None:
        """The process that holds broker and gate together; None before the start."""
        return self._record.pid if self._record is not None else None

    def start(self) -> None:
        """Take up one left by a crash, else start one. Blocking. Raises MissingPartError."""
        if self._record is None or not is_running(self._record):
            left = _left_over(self._home, self.config)
            if left is not None:
                self._private = left.private
            self._private = self._private or _doors()
            self._record = left or _start_broker(self._home, self.config, self._private)

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
def broker(folder: Path, config: GateConfig) -> Iterator[EmbeddedBroker]:
    """A broker for as long as the context is open."""
    found = EmbeddedBroker(folder, config)
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


def _left_over(home: Path, config: GateConfig) -> BrokerRecord | None:
    """A broker of ours that is still running as it is wanted now; one that runs otherwise is stopped."""
    try:
        record = msgspec.json.decode((home / "broker.json").read_bytes(), type=BrokerRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    if not is_running(record):
        return None
    if record.gate == config and _open_to_all(config):
        return record
    process.end(record.pid, signal.SIGTERM)
    return None


def _doors() -> tuple[Private, ...]:
    """One for each process of the gate, so that they do not queue at the same one."""
    secret = secrets.token_urlsafe(32)
    return tuple(Private(free_port(), free_port(), "gate", secret) for _ in range(GATES))


def _start_broker(home: Path, config: GateConfig, private: tuple[Private, ...]) -> BrokerRecord:
    for host, port, what, setting in places(config):
        require_free(port, what, setting, host)
    _write_secret(home / "rumqttd.toml", _broker_config(private))
    _write_secret(home / "gate.json", msgspec.json.encode(GateFile(config, private)).decode())
    with (home / "log").open("ab") as log:
        started = subprocess.Popen(  # noqa: S603 - our own interpreter and a constant program
            [sys.executable, "-m", "services.embedded.broker_process", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            # Its own session: Ctrl-C is for us, and our crash is not its end.
            start_new_session=True,
        )
    record = BrokerRecord(started.pid, psutil.Process(started.pid).create_time(), config, private)
    _write_secret(home / "broker.json", msgspec.json.encode(record).decode())
    deadline = time.monotonic() + _START_S
    while not _open_to_all(config):
        if started.poll() is not None or time.monotonic() > deadline:
            process.end(started.pid, signal.SIGTERM)
            raise MissingPartError(
                f"the embedded MQTT broker did not start (it says {_last_words(home / 'log')}): see {home / 'log'}, "
                "or set TONGLUO_MQTT to the address of a running broker"
            )
        time.sleep(0.02)
    return record


def _last_words(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(-min(log.stat().st_size, 4096), os.SEEK_END)
        lines = file.read().decode(errors="replace").split("\n")
    return repr(next((line for line in reversed(lines) if line.strip()), ""))


def places(config: GateConfig) -> Iterator[tuple[str, int, str, str]]:
    """Where gateways connect: host, port, what for, and the setting that says so."""
    yield config.plain_host, config.port, "MQTT", "TONGLUO_MQTT_PORT"
    yield config.plain_host, config.port_v5, "MQTT 5", "TONGLUO_MQTT5_PORT"
    if config.tls is not None:
        yield config.host, config.tls.port, "MQTT over TLS", "TONGLUO_MQTT_TLS_PORT"


def _open_to_all(config: GateConfig) -> bool:
    return all(accepts(port, host) for host, port, _, _ in places(config))


def _write_secret(file: Path, text: str) -> None:
    """For its owner only."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text)


def _broker_config(private: tuple[Private, ...]) -> str:
    parts = [
        "id = 0\n[router]\nid = 0\nmax_connections = 20010\nmax_outgoing_packet_count = 200\n"
        "max_segment_size = 104857600\nmax_segment_count = 10\n"
    ]
    for nth, door in enumerate(private, start=1):
        for version, port in (("v4", door.port), ("v5", door.port_v5)):
            parts.append(
                f'[{version}.{nth}]\nname = "{version}-{nth}"\nlisten = "127.0.0.1:{port}"\n'
                "next_connection_delay_ms = 0\n"
                f"[{version}.{nth}.connections]\nconnection_timeout_ms = 60000\n"
                f"max_payload_size = {MAX_PACKET_BYTES}\nmax_inflight_count = 500\ndynamic_filters = true\n"
                f'[{version}.{nth}.connections.auth]\n{door.user} = "{door.secret}"\n'
            )
    return "".join(parts)
