"""The rules role over a real log: killed anywhere, it finds what it would have found, byte for byte."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.rules.catalogue import load
from services.rules.service import GROUP, Rules
from tests.conftest import opened_log, until
from tongluo import wire
from tongluo.log.port import Batch, Entry, Log
from tongluo.reading import Reading
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS, READINGS

START = datetime(2026, 7, 1, tzinfo=UTC)


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
            found.append(Entry(READINGS, reading.site, wire.READING.encode(reading), time))
    return found


async def findings(log: Log) -> list[bytes]:
    wanted = sum((await log.ends(FINDINGS)).values())
    found: list[tuple[int, int, bytes]] = []
    async with log.join("test", FINDINGS) as consumer:
        async with asyncio.timeout(10):
            while len(found) < wanted:
                event = await consumer.next(timeout_s=0.2)
                if isinstance(event, Batch):
                    found += [(entry.partition, entry.offset, entry.value) for entry in event.entries]
    return [value for _, _, value in sorted(found)]


async def at_the_end(log: Log) -> bool:
    return await log.positions(GROUP, READINGS) == await log.ends(READINGS)


async def undisturbed(dsn: str, seed: int) -> list[bytes]:
    async with opened_log(dsn) as log:
        await log.append(entries(seed))
        running = asyncio.ensure_future(Rules(log, load()).run(Pulse("rules")))
        await until(lambda: at_the_end(log))
        running.cancel()
        return await findings(log)


@pytest.fixture
def another_dsn(server: str, template: str, dsn: str) -> str:
    name = dsn.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_b"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return server.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("how", ["cancelled", "connection cut"])
async def test_killed_anywhere_it_finds_the_same(dsn: str, another_dsn: str, seed: int, how: str) -> None:
    expected = await undisturbed(another_dsn, seed)
    assert len(expected) > 10
    source = random.Random(seed)  # noqa: S311 - a test
    async with opened_log(dsn) as log:
        waiting = entries(seed)
        while waiting or not await at_the_end(log):
            batch, waiting = waiting[:37], waiting[37:]
            await log.append(batch)
            rules = Rules(log, load(), snapshot_every=40, silent_most=20)
            running = asyncio.ensure_future(rules.run(Pulse("rules")))
            # The last life is long enough to commit what leads to nothing.
            await asyncio.sleep(source.uniform(0.005, 0.12) if waiting else 1.0)
            if how == "connection cut":
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                    )
                await asyncio.wait([running], timeout=0.5)
            running.cancel()
            await asyncio.wait([running], timeout=5)
        assert await findings(log) == expected


async def test_a_crash_between_judging_and_commit_is_judged_again(dsn: str, another_dsn: str) -> None:
    expected = await undisturbed(another_dsn, 3)

    class Crash(Exception):
        pass

    class Failing(Rules):
        async def _commit(self, consumer, number, outputs) -> None:  # type: ignore[no-untyped-def]
            raise Crash

    async with opened_log(dsn) as log:
        await log.append(entries(3))
        with pytest.raises(Crash):
            await Failing(log, load()).run(Pulse("rules"))
        assert sum((await log.ends(FINDINGS)).values()) == 0
        running = asyncio.ensure_future(Rules(log, load()).run(Pulse("rules")))
        await until(lambda: at_the_end(log))
        running.cancel()
        assert await findings(log) == expected
