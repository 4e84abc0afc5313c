"""A process that was started again, or that shares the field, flags as one that has seen everything."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from services.ingest.follow import LOOK_BACK, Follow
from services.ingest.intake import Intake
from services.ingest.keeper import Keeper
from services.ingest.mqtt import Message
from services.ingest.pipeline import Limits
from services.ingest.snapshots import Snapshots
from tests.backends import Backend
from tongluo import testing, wire
from tongluo.clock import EventClock
from tongluo.log.port import Entry, Log
from tongluo.quality import Flag
from tongluo.readings import Readings, Series, microseconds
from tongluo.supervise import Pulse, Supervisor
from tongluo.topics import READINGS

START = datetime(2026, 7, 1, tzinfo=UTC)
REPLAY = Limits(None, None)


class Process:
    """What one ingest process has in memory, without a broker before it."""

    def __init__(self, log: Log | None, name: str, now: datetime) -> None:
        clock = EventClock(now)
        self._intake = Intake(testing.county, clock, REPLAY, None, name)
        self._log = log
        if log is not None:
            keeper = Keeper(log, self._intake, Snapshots(Path("unused"), 2**20))
            self.follow = Follow(log, clock, name, keeper.hear)

    async def take(self, *readings: tuple[float, float]) -> list[Flag]:
        """Minutes after START and rain of R-1, one message each; the flags they get."""
        found = []
        for minute, mm in readings:
            message = _message(minute, mm)
            taken = self._intake.take([message])
            if self._log is not None:
                await self._log.append(taken.entries)
            self._intake.learn(taken)
            found += [
                Flag(one.flags) for entry in taken.entries for one in wire.READINGS.decode(entry.value).each()
            ]
        return found


def _message(minute: float, mm: float) -> Message:
    time = START + timedelta(minutes=minute)
    payload = {"station": "R-1", "metric": "rain", "time": time.isoformat(), "value": mm}
    return Message("tongluo/v1/G-1/readings", msgspec.json.encode(payload), time)


@asynccontextmanager
async def following(follow: Follow) -> AsyncIterator[Pulse]:
    supervisor = Supervisor()
    supervisor.add("follow", follow.run)
    async with supervisor.running():
        await supervisor.ready()
        yield supervisor.pulses["follow"]


STUCK = [(5.0 * n, 4.0) for n in range(45)]
DUPLICATES = [(0.0, 1.0), (5.0, 2.0), (10.0, 0.0), (5.0, 2.0), (10.0, 0.0), (0.0, 1.0), (15.0, 0.2)]
CUTS = [*((STUCK, nth) for nth in (1, 36, 37, 38, 43)), *((DUPLICATES, nth) for nth in (3, 5))]


@pytest.mark.parametrize(("rows", "nth"), CUTS)
async def test_flags_after_a_restart_are_those_without(
    backend: Backend, rows: Sequence[tuple[float, float]], nth: int
) -> None:
    undisturbed = await Process(None, "alone", START).take(*rows)
    assert Flag.STUCK in undisturbed or Flag.DUPLICATE in undisturbed
    async with backend.open() as log:
        found = await Process(log, "me", START).take(*rows[:nth])
        again = Process(log, "me", START + timedelta(minutes=max(minute for minute, _ in rows[:nth])))
        await again.follow.recall()
        assert found + await again.take(*rows[nth:]) == undisturbed


async def test_what_is_stuck_since_before_we_look_back_is_known_by_its_flag(backend: Backend) -> None:
    rows = [(10.0 * n, 0.4) for n in range(60)]
    undisturbed = await Process(None, "alone", START).take(*rows)
    async with backend.open() as log:
        await Process(log, "me", START).take(*rows[:50])
        now = START + timedelta(minutes=rows[49][0])
        assert now - LOOK_BACK > START
        again = Process(log, "me", now)
        await again.follow.recall()
        assert await again.take(*rows[50:]) == undisturbed[50:]


async def test_several_processes_know_what_the_others_took(backend: Backend) -> None:
    undisturbed = await Process(None, "alone", START).take(*STUCK)
    async with backend.open() as log:
        one, other = Process(log, "one", START), Process(log, "other", START)
        found: list[Flag] = []
        async with following(one.follow) as ours, following(other.follow) as theirs:
            for nth, row in enumerate(STUCK):
                (mine, pulse) = (one, theirs) if nth % 2 else (other, ours)
                found += await mine.take(row)
                async with asyncio.timeout(10):
                    await pulse.counted("readings", nth // 2 + 1)
            assert [pulse.counts["readings"] for pulse in (ours, theirs)] == [23, 22]
        assert found == undisturbed


async def test_an_empty_log_and_strange_entries_stand_in_nobodys_way(backend: Backend) -> None:
    async with backend.open() as log:
        process = Process(log, "me", START)
        await process.follow.recall()
        gone = Readings(
            (Series("GONE", "rain", "S-1", "G-1"),), [0], [microseconds(START)], [1.0], by="other"
        )
        strange = [
            Entry(READINGS, "S-1", value, START) for value in (b"not ours", wire.READINGS.encode(gone))
        ]
        await log.append(strange)
        again = Process(log, "me", START)
        await again.follow.recall()
        assert await again.take((0.0, 0.4)) == [Flag(0)]
