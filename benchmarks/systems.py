"""What a load can be put on, and how to see that all of it has arrived: the full stack, embedded, and a bare loop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil
import psycopg

from benchmarks import bare
from benchmarks.backlog import readings_between
from benchmarks.county import ROOT
from benchmarks.load import EVERY, Plan
from benchmarks.stack import Servers, fresh_place, pid_of, role_processes
from services.embedded.postgres import postgres
from services.rules import service as rules
from tests.scenarios.command import command
from tongluo.log.kafka import open_kafka
from tongluo.log.port import Log
from tongluo.log.postgres import open_log
from tongluo.postgres import Listener
from tongluo.topics import READINGS

# As a county would deploy them; notify and console wait for most of their time and share a process.
ROLES = {"ingest": "ingest", "rules": "rules", "record": "record", "notify": "notify,console"}

# The load's event times lie up to forty days back, so that every run is news; it is to be judged like live readings.
NOTHING_IS_LATE = {"TONGLUO_LATE_AFTER": "90d"}

Connection = psycopg.AsyncConnection[tuple[object, ...]]


class System(Protocol):
    """One way from MQTT to the store."""

    name: str
    broker: tuple[str, int]
    root: str
    pids: Mapping[str, int]

    async def done(self, plan: Plan) -> bool:
        """Whether the plan's last readings have come all the way."""
        ...

    async def faults(self, plan: Plan) -> list[str]:
        """What is not there exactly as the plan says."""
        ...


@dataclass
class Tongluo:
    """The program, in one process or several."""

    name: str
    broker: tuple[str, int]
    pids: Mapping[str, int]
    log: Log
    store: Connection
    console: str
    root: str = ROOT
    # Up to where the log has been counted.
    _counted: dict[int, int] = field(default_factory=dict)

    async def done(self, plan: Plan) -> bool:
        """A gauge's readings come in order: with its newest one there and the log judged to its end, all is done."""
        row = await (
            await self.store.execute(
                "SELECT count(*) FROM latest WHERE time = %s AND station = ANY(%s)",
                (plan.ends - EVERY, plan.named()),
            )
        ).fetchone()
        return row == (plan.stations,) and await self.log.positions(rules.GROUP, READINGS) == (
            await self.log.ends(READINGS)
        )

    async def counted(self) -> int:
        """How many readings the log has taken in since this was last asked; an entry holds many, so each is read."""
        begin, self._counted = self._counted, await self.log.ends(READINGS)
        return await readings_between(self.log, begin, self._counted)

    async def faults(self, plan: Plan) -> list[str]:
        cursor = await self.store.execute(
            "SELECT station, count(*), sum(value) FROM reading WHERE time >= %s AND time < %s "
            "AND station = ANY(%s) GROUP BY station",
            (plan.first, plan.ends, plan.named()),
        )
        found = [
            fault
            for row in await cursor.fetchall()
            for fault in plan.differs(*row)  # type: ignore[arg-type]
        ]
        if cursor.rowcount != plan.stations:
            found.append(f"{cursor.rowcount} stations of {plan.stations} have readings")
        refused = await (await self.store.execute("SELECT count(*) FROM quarantine")).fetchone()
        if refused != (0,):
            found.append(f"quarantine holds {refused} entries")
        in_log = await self.counted()
        if in_log != plan.readings:
            found.append(f"the log has taken in {in_log} readings")
        return found


@dataclass
class Bare:
    """The bridge and the sink of bare.py."""

    name: str
    broker: tuple[str, int]
    pids: Mapping[str, int]
    store: Connection
    root: str = bare.ROOT

    async def done(self, plan: Plan) -> bool:
        """It keeps no order by gauge: all of them must be there."""
        row = await (
            await self.store.execute(
                "SELECT count(*) FROM bare WHERE time >= %s AND time < %s", (plan.first, plan.ends)
            )
        ).fetchone()
        return row is not None and int(str(row[0])) >= plan.readings

    async def faults(self, plan: Plan) -> list[str]:
        cursor = await self.store.execute(
            "SELECT station, count(*), sum(value) FROM bare WHERE time >= %s AND time < %s GROUP BY station",
            (plan.first, plan.ends),
        )
        return [
            fault
            for row in await cursor.fetchall()
            for fault in plan.differs(*row)  # type: ignore[arg-type]
        ]


@asynccontextmanager
async def full(servers: Servers, folder: Path, county: Path) -> AsyncIterator[Tongluo]:
    """Four processes on Mosquitto, Kafka and PostgreSQL."""
    async with fresh_place(servers) as place, AsyncExitStack() as stack:
        environment = place.environment(TONGLUO_COUNTY=str(county), **NOTHING_IS_LATE)
        programs = await stack.enter_async_context(role_processes(folder, ROLES, environment))
        log = await stack.enter_async_context(open_kafka(place.kafka))
        store = await stack.enter_async_context(await connect(place.dsn))
        pids = {**{name: pid_of(program) for name, program in programs.items()}, **servers.pids}
        yield Tongluo("full stack", servers.broker, pids, log, store, programs["notify"].url)


@asynccontextmanager
async def embedded(folder: Path, county: Path) -> AsyncIterator[Tongluo]:
    """One process with the embedded broker; log and store in the embedded PostgreSQL."""
    async with AsyncExitStack() as stack:
        dsn = stack.enter_context(postgres(folder)).dsn
        program = stack.enter_context(
            command(
                folder / "program", "run", TONGLUO_STORE=dsn, TONGLUO_COUNTY=str(county), **NOTHING_IS_LATE
            )
        )
        await program.started()
        log = await stack.enter_async_context(open_log(dsn, Listener(dsn)))
        store = await stack.enter_async_context(await connect(dsn))
        # Of a server that answers, the backend's parent is the server itself.
        server = psutil.Process(store.info.backend_pid).ppid()
        pids = {"program and broker": pid_of(program), "postgres": server}
        yield Tongluo("embedded", ("127.0.0.1", program.mqtt5_port), pids, log, store, program.url)
        program.interrupt()


@asynccontextmanager
async def bare_loop(servers: Servers) -> AsyncIterator[Bare]:
    """The peer on the same servers."""
    async with fresh_place(servers) as place, AsyncExitStack() as stack:
        store = await stack.enter_async_context(await connect(place.dsn))
        await store.execute(bare.TABLE.encode())
        host, port = servers.broker
        topic = place.kafka.named(READINGS.name)
        bridge = await stack.enter_async_context(
            _bare_process("bridge", host, str(port), place.kafka.bootstrap, topic)
        )
        sink = await stack.enter_async_context(_bare_process("sink", place.kafka.bootstrap, topic, place.dsn))
        yield Bare("bare loop", servers.broker, {"bridge": bridge, "sink": sink, **servers.pids}, store)


async def connect(dsn: str) -> Connection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True)


@asynccontextmanager
async def _bare_process(*words: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bare", *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None or not await process.stdout.readline():
            raise SystemExit(f"the {words[0]} of the bare loop did not start")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
