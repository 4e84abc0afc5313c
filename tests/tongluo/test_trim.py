"""Trimming takes what is old, and nothing that somebody still needs."""

from datetime import UTC, datetime

import psycopg
import pytest

from tests.conftest import opened_log
from tongluo.log.port import Assigned, Entry, Snapshot
from tongluo.log.postgres import PostgresLog
from tongluo.topics import READINGS

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ALL = dict.fromkeys(range(READINGS.partitions), 10**9)


async def aged(log: PostgresLog, dsn: str) -> None:
    await log.append([Entry(READINGS, "a", b"x", NOW) for _ in range(10)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE log_entry SET appended = now() - interval '30 days'")


async def commit(log: PostgresLog, place: int, snapshot: int | None) -> None:
    async with log.join("rules", READINGS) as consumer:
        while not isinstance(await consumer.next(timeout_s=1.0), Assigned):
            pass
        partition = next(p for p, end in (await log.ends(READINGS)).items() if end)
        await consumer.commit(partition, place, (), Snapshot(snapshot, b"state") if snapshot else None)


async def test_what_everybody_has_taken_goes(dsn: str) -> None:
    async with opened_log(dsn) as log:
        await aged(log, dsn)
        assert await log.trim({READINGS: ALL}) == 10


async def test_what_is_young_stays(dsn: str) -> None:
    async with opened_log(dsn) as log:
        await log.append([Entry(READINGS, "a", b"x", NOW)])
        assert await log.trim({READINGS: ALL}) == 0


async def test_what_a_slow_consumer_has_not_taken_stays(dsn: str) -> None:
    async with opened_log(dsn) as log:
        await aged(log, dsn)
        assert await log.trim({READINGS: dict.fromkeys(ALL, 4)}) == 4


@pytest.mark.parametrize(("snapshot", "gone"), [(None, 0), (6, 6)])
async def test_what_a_state_cannot_be_made_without_stays(dsn: str, snapshot: int | None, gone: int) -> None:
    async with opened_log(dsn) as log:
        await aged(log, dsn)
        await commit(log, 10, snapshot)
        assert await log.trim({READINGS: ALL}) == gone
