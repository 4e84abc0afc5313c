"""The full stack under a benchmark: the real servers, a namespace and a database of its own, and roles as processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import msgspec
import psutil
import psycopg

from deploy.stack.__main__ import down, running, up
from tests.scenarios.command import Command, command
from tongluo.log import kafka_address, kafka_topics
from tongluo.log.kafka_address import KafkaAddress
from tongluo.store.migrate import migrate

_numbers = count(1)


class Servers(msgspec.Struct, frozen=True):
    """Addresses of the real servers, and their process numbers."""

    mqtt: str
    store: str
    log: str
    pids: dict[str, int]

    @property
    def broker(self) -> tuple[str, int]:
        parts = urlsplit(self.mqtt)
        return parts.hostname or "127.0.0.1", parts.port or 1883


class Place(msgspec.Struct, frozen=True):
    """An empty database, and a namespace of Kafka with its topics."""

    name: str
    dsn: str
    kafka: KafkaAddress
    servers: Servers

    def environment(self, **given: str) -> dict[str, str]:
        """What a role process on this place is told."""
        return {
            "TONGLUO_STORE": self.dsn,
            "TONGLUO_LOG": f"kafka://{self.kafka.bootstrap}/{self.kafka.namespace}",
            "TONGLUO_MQTT": self.servers.mqtt,
            "TONGLUO_MQTT_CLIENT": self.name,
            **given,
        }


@contextmanager
def real_servers() -> Iterator[Servers]:
    """The stack; started if it is not up, and then stopped at the end. Exits with the reason where it cannot be had."""
    ours = not running()
    started, missing = up(lambda line: print(line, flush=True))
    try:
        if missing:
            raise SystemExit("\n".join(missing.values()))
        addresses = {key: where for part in started.values() for key, where in part["addresses"].items()}
        yield Servers(
            addresses["mqtt"],
            addresses["store"],
            addresses["log"],
            {name: part["pid"] for name, part in started.items()},
        )
    finally:
        if ours:
            down(lambda line: print(line, flush=True))


@asynccontextmanager
async def fresh_place(servers: Servers) -> AsyncIterator[Place]:
    """A place that nobody else uses, removed at the end."""
    name = f"bench-{os.getpid()}-{next(_numbers)}"
    database = name.replace("-", "_")
    address = kafka_address.parse(f"{servers.log}/{name}")
    async with await psycopg.AsyncConnection.connect(servers.store, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {database}".encode())
        dsn = servers.store.removesuffix("/postgres") + f"/{database}"
        try:
            await asyncio.to_thread(migrate, dsn)
            await kafka_topics.ensure(address, replication=1)
            try:
                yield Place(name, dsn, address, servers)
            finally:
                await kafka_topics.remove(address)
                await _forget_session(servers.broker, name)
        finally:
            await connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())


async def _forget_session(broker: tuple[str, int], name: str) -> None:
    """A session that outlived its owner would go on gathering every message of the benchmarks to come."""
    host, port = broker
    # Clean start ends the old session; without an expiry the new one ends with the connection.
    async with aiomqtt.Client(
        host, port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5, clean_start=True
    ):
        pass


@asynccontextmanager
async def role_processes(
    folder: Path, roles: Mapping[str, str], environment: Mapping[str, str]
) -> AsyncIterator[dict[str, Command]]:
    """`tongluo run --roles ...` for every name in `roles`, all of them ready."""
    async with AsyncExitStack() as stack:
        programs = {
            name: stack.enter_context(command(folder / name, "run", "--roles", words, **environment))
            for name, words in roles.items()
        }
        # The first registers the county, so that the others find it whoever of them is faster.
        first, *others = programs.values()
        await asyncio.to_thread(first.start, r": ready")
        await asyncio.gather(*(asyncio.to_thread(other.start, r": ready") for other in others))
        yield programs
        for program in programs.values():
            program.interrupt()


def pid_of(program: Command) -> int:
    if program.process is None:
        raise AssertionError("the program has not been started")
    return program.process.pid


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of all it has started, those that have ended among them."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)


class Meter:
    """Processor time of named processes since the meter was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._began = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def read(self) -> dict[str, float]:
        return {name: round(cpu_seconds(pid) - self._began[name], 2) for name, pid in self._pids.items()}
