"""The rules role over a real log: killed anywhere, it finds what it would have found, byte for byte."""

import asyncio
import gc
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import psycopg
import pytest

from services.rules.catalogue import Catalogue, load, read_catalogue
from services.rules.runner import Place, Runner, uncollected
from services.rules.service import GROUP, Held, Rules, StationWork
from tests.backends import Backend
from tests.conftest import opened_log, until
from tongluo import wire
from tongluo.finding import Level
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Assigned, Batch, Entry, Log, Snapshot, Stored
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS, READINGS

_numbers = count(1)
_CATALOGUE = read_catalogue(load())
START = datetime(2026, 7, 1, tzinfo=UTC)


def shipped() -> Catalogue:
    return _CATALOGUE


def entries(seed: int) -> list[Entry]:
    """Two days of storms over five sites."""
    source = random.Random(seed)  # noqa: S311 - a test
    found = []
    for minute in range(0, 2 * 24 * 60, 30):
        for site in range(5):
            wet = (minute // 600 + site) % 3 == 0
            time = START + timedelta(minutes=minute + site)
            value = round(source.uniform(0, 25), 1) if wet else 0.0
            reading = Reading(f"R-{site}", "rain", time, value, f"S-{site}", "G")
            found.append(Entry(READINGS, reading.site, wire.READINGS.encode(gathered([reading])), time))
    return found


async def findings(log: Log) -> list[bytes]:
    """Every finding, in order within each partition."""
    wanted = {partition: end for partition, end in (await log.ends(FINDINGS)).items() if end}
    found: dict[int, list[Stored]] = {}
    async with log.join("test", FINDINGS) as consumer, asyncio.timeout(20):
        while {partition: entries[-1].offset + 1 for partition, entries in found.items()} != wanted:
            event = await consumer.next(timeout_s=0.2)
            if isinstance(event, Batch):
                for partition, entries in event.by_partition().items():
                    found.setdefault(partition, []).extend(entries)
    return [entry.value for partition in sorted(found) for entry in found[partition]]


async def at_the_end(log: Log) -> bool:
    return await log.positions(GROUP, READINGS) == await log.ends(READINGS)


async def judged(log: Log, waiting: list[Entry]) -> list[bytes]:
    """What is found of these entries when nothing disturbs, from an empty log on."""
    await log.append(waiting)
    running = asyncio.ensure_future(Rules(log, shipped).run(Pulse("rules")))
    await until(lambda: at_the_end(log))
    running.cancel()
    return await findings(log)


@pytest.fixture
async def expected(server: str, template: str, seed: int) -> list[bytes]:
    """What an undisturbed run over a log of its own finds."""
    name = f"undisturbed_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    async with opened_log(server.replace("/postgres?", f"/{name}?")) as log:
        found = await judged(log, entries(seed))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_cancelled_anywhere_it_finds_the_same(
    backend: Backend, expected: list[bytes], seed: int
) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    # A member of a Kafka group needs a moment before it owns anything.
    longest_s, step = (0.12, 37) if backend.kafka is None else (1.5, 120)
    async with backend.open() as log:
        waiting = entries(seed)
        while waiting or not await at_the_end(log):
            batch, waiting = waiting[:step], waiting[step:]
            await log.append(batch)
            rules = Rules(log, shipped, snapshot_every=40, advance_every_s=0.02)
            running = asyncio.ensure_future(rules.run(Pulse("rules")))
            # The last life is long enough to commit what leads to nothing.
            await asyncio.sleep(source.uniform(0.005, longest_s) if waiting else longest_s + 1.0)
            running.cancel()
            await asyncio.wait([running], timeout=5)
        assert await findings(log) == expected


@pytest.mark.parametrize("seed", [1, 2])
async def test_with_its_connection_cut_it_finds_the_same(dsn: str, expected: list[bytes], seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    async with opened_log(dsn) as log:
        waiting = entries(seed)
        while waiting or not await at_the_end(log):
            batch, waiting = waiting[:37], waiting[37:]
            await log.append(batch)
            rules = Rules(log, shipped, snapshot_every=40, advance_every_s=0.02)
            running = asyncio.ensure_future(rules.run(Pulse("rules")))
            await asyncio.sleep(source.uniform(0.005, 0.12) if waiting else 1.0)
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            await asyncio.wait([running], timeout=0.5)
            running.cancel()
            await asyncio.wait([running], timeout=5)
        assert await findings(log) == expected


@asynccontextmanager
async def replica(backend: Backend, stop_at: int = 0) -> AsyncIterator[asyncio.subprocess.Process]:
    """A rules process, killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.services.rules.replica",
            msgspec.json.encode(backend).decode(),
            str(stop_at),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def says(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while words not in (line := (await process.stdout.readline()).decode()):
            assert line, "the process has ended"


@pytest.mark.parametrize("seed", [3])
async def test_one_of_two_replicas_killed_at_any_moment(
    backend: Backend, expected: list[bytes], seed: int
) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    waiting = entries(seed)
    async with backend.open() as log, replica(backend) as survivor:
        await says(survivor, "running")
        for _ in range(3):
            async with replica(backend) as casualty:
                await says(casualty, "running")
                share, waiting = waiting[:150], waiting[150:]
                for entry in share:
                    await log.append([entry])
                await asyncio.sleep(source.uniform(0.0, 1.0))
        await log.append(waiting)
        await until(lambda: at_the_end(log), timeout_s=60)
        assert await findings(log) == expected


@pytest.mark.parametrize("seed", [5])
@pytest.mark.parametrize("stop_at", [1, 4])
async def test_one_of_two_replicas_killed_in_a_transaction(
    kafka: KafkaAddress, expected: list[bytes], seed: int, stop_at: int
) -> None:
    """All was sent and nothing committed: the survivor ends the transaction and tells it, once."""
    backend = Backend(kafka=kafka)
    async with backend.open() as log, replica(backend, stop_at) as casualty:
        await says(casualty, "running")
        await log.append(entries(seed))
        await says(casualty, "in the middle of a transaction")
        async with replica(backend) as survivor:
            await says(survivor, "running")
            casualty.kill()
            await until(lambda: at_the_end(log), timeout_s=60)
            assert await findings(log) == expected


@pytest.mark.parametrize("seed", [3])
async def test_a_crash_between_judging_and_commit_is_judged_again(
    backend: Backend, expected: list[bytes], seed: int
) -> None:

    class Crash(Exception):
        pass

    class Failing(Runner[Held]):
        async def _commit(self, consumer, number, outputs) -> None:  # type: ignore[no-untyped-def]
            raise Crash

    async with backend.open() as log:
        await log.append(entries(seed))
        failing = Failing(log, Place(GROUP, READINGS, "readings"), StationWork(shipped, lambda: None))
        with pytest.raises(Crash):
            await failing.run(Pulse("rules"))
        assert sum((await log.ends(FINDINGS)).values()) == 0
        running = asyncio.ensure_future(Rules(log, shipped).run(Pulse("rules")))
        await until(lambda: at_the_end(log))
        running.cancel()
        assert await findings(log) == expected


@pytest.mark.parametrize("seed", [1])
async def test_a_snapshot_of_another_release_is_made_again_from_the_log(
    dsn: str, expected: list[bytes], seed: int
) -> None:
    waiting = entries(seed)
    half = len(waiting) // 2
    async with opened_log(dsn) as log:
        assert await judged(log, waiting[:half])
        partitions = {number for number, end in (await log.ends(READINGS)).items() if end}
        async with log.join(GROUP, READINGS) as consumer, asyncio.timeout(20):
            owned: set[int] = set()
            while not partitions <= owned:
                event = await consumer.next(timeout_s=0.2)
                owned |= set(event.partitions) if isinstance(event, Assigned) else set()
            for number in partitions:
                position = await consumer.committed(number)
                await consumer.commit(number, position, (), Snapshot(position, b'{"of":"another release"}'))
        assert await judged(log, waiting[half:]) == expected


def test_restoring_a_state_leaves_the_collector_at_work() -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no state"), uncollected():
        raise ValueError("no state")
    assert gc.isenabled()


async def test_rules_that_change_while_running_lose_nothing(dsn: str) -> None:
    """Rain that fell under the first rules counts under the second; a level that holds stays held."""
    first = read_catalogue(load())
    sharper = {**load(), "rainstorm.toml": load()["rainstorm.toml"].replace("100.0", "60.0")}
    current = [first]
    async with opened_log(dsn) as log:
        running = asyncio.ensure_future(Rules(log, lambda: current[0]).run(Pulse("rules")))
        await log.append([rain(0, 55.0)])
        await until(lambda: at_the_end(log))
        current[0] = read_catalogue(sharper)
        await log.append([rain(10, 6.0)])
        await until(lambda: at_the_end(log))
        running.cancel()
        found = [wire.FINDING.decode(value) for value in await findings(log)]
    told = [(one.level, one.evidence.rule_version) for one in found if one.rule == "rainstorm"]
    versions = [catalogue.rule("rainstorm").version for catalogue in (first, current[0])]  # type: ignore[union-attr]
    assert told == [(Level.ORANGE, versions[0]), (Level.RED, versions[1])]


def rain(minute: int, mm: float) -> Entry:
    one = Reading("R-1", "rain", START + timedelta(minutes=minute), mm, "S-1", "G")
    return Entry(READINGS, one.site, wire.READINGS.encode(gathered([one])), one.time)
