"""What of the log may go: what is old, and only what nobody needs any more."""

from datetime import timedelta

import psycopg
import pytest

from tests.backends import Backend
from tongluo.clock import wall_now
from tongluo.log.port import Assigned, Entry, Log, Snapshot
from tongluo.topics import READINGS

ALL = dict.fromkeys(range(READINGS.partitions), 10**9)


async def aged(backend: Backend, log: Log) -> None:
    """Ten entries of a month ago."""
    await log.append([Entry(READINGS, "a", b"x", wall_now() - timedelta(days=30)) for _ in range(10)])
    if backend.dsn is not None:
        with psycopg.connect(backend.dsn, autocommit=True) as connection:
            connection.execute("UPDATE log_entry SET appended = now() - interval '30 days'")


async def commit(log: Log, place: int, snapshot: int | None) -> None:
    async with log.join("rules", READINGS) as consumer:
        while not isinstance(await consumer.next(timeout_s=1.0), Assigned):
            pass
        partition = next(p for p, end in (await log.ends(READINGS)).items() if end)
        await consumer.commit(partition, place, (), Snapshot(snapshot, b"state") if snapshot else None)


async def test_what_everybody_has_taken_goes(backend: Backend) -> None:
    async with backend.open() as log:
        await aged(backend, log)
        assert await log.trim({READINGS: ALL}) == 10
        assert await log.trim({READINGS: ALL}) == 0


async def test_what_is_young_stays(backend: Backend) -> None:
    async with backend.open() as log:
        await log.append([Entry(READINGS, "a", b"x", wall_now())])
        assert await log.trim({READINGS: ALL}) == 0


async def test_what_a_slow_consumer_has_not_taken_stays(backend: Backend) -> None:
    async with backend.open() as log:
        await aged(backend, log)
        assert await log.trim({READINGS: dict.fromkeys(ALL, 4)}) == 4


@pytest.mark.parametrize(("snapshot", "gone"), [(None, 0), (6, 6)])
async def test_what_a_state_cannot_be_made_without_stays(
    backend: Backend, snapshot: int | None, gone: int
) -> None:
    async with backend.open() as log:
        await aged(backend, log)
        await commit(log, 10, snapshot)
        assert await log.trim({READINGS: ALL}) == gone
