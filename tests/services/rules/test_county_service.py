"""The county-wide role over a real log: killed anywhere, it finds what the judgement finds of the log as it stands."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec
import pytest

from services.rules.county.judge import CountyState
from services.rules.county_service import GROUP, TICK_EVERY, CountyRules, CountyWork
from tests.backends import Backend
from tests.conftest import until
from tests.services.rules.county.test_compound import every, rule
from tests.services.rules.county.test_judge import RULES
from tests.services.rules.county.world import COUNTY, at, catalogue, judged, level, silent, speaks, tick, told
from tests.services.rules.test_service import says
from tongluo import wire
from tongluo.clock import EventClock
from tongluo.finding import Finding, Level
from tongluo.log.port import Batch, Entry, Log
from tongluo.signal import Signal, Tick, time_of
from tongluo.supervise import Pulse
from tongluo.topics import COUNTY_KEY, FINDINGS, SIGNALS, Topic

BLUE, YELLOW, ORANGE, RED = Level


def storm(seed: int) -> list[Signal]:
    """A day of levels and silences, a tick before each."""
    source, found = random.Random(seed), []  # noqa: S311 - a test
    for minute in range(0, 24 * 60, 10):
        found.append(tick(minute - 1))
        site = source.randint(1, 5)
        name = source.choice(["rain", "slope"])
        changed = level(minute, name, site, source.choice([None, BLUE, ORANGE, RED]))
        found.append(source.choice([changed, changed, silent(minute, site), speaks(minute, site)]))
    return [*found, tick(48 * 60)]


def entries(signals: list[Signal]) -> list[Entry]:
    return [Entry(SIGNALS, COUNTY_KEY, wire.SIGNAL.encode(one), time_of(one)) for one in signals]


async def stored(log: Log, topic: Topic) -> list[bytes]:
    """Every entry, in order within each partition."""
    wanted = {partition: end for partition, end in (await log.ends(topic)).items() if end}
    seen: dict[int, int] = {}
    found: dict[int, list[bytes]] = {}
    async with log.join("test", topic) as consumer, asyncio.timeout(20):
        while seen != wanted:
            event = await consumer.next(timeout_s=0.2)
            if isinstance(event, Batch):
                for partition, of in event.by_partition().items():
                    found.setdefault(partition, []).extend(entry.value for entry in of)
                seen |= event.positions()
    return [value for partition in sorted(found) for value in found[partition]]


async def findings(log: Log) -> list[Finding]:
    return in_order([wire.FINDING.decode(value) for value in await stored(log, FINDINGS)])


def in_order(found: list[Finding]) -> list[Finding]:
    """By site, which keeps its order; what lies between sites does not."""
    return sorted(found, key=lambda one: one.site)


async def at_the_end(log: Log) -> bool:
    return await log.positions(GROUP, SIGNALS) == await log.ends(SIGNALS)


def role(log: Log, *, every_entries: int = 10) -> CountyRules:
    work = CountyWork(lambda: RULES, lambda: COUNTY)
    return CountyRules(
        log, work, EventClock(), ticks=False, snapshot_every=every_entries, advance_every_s=0.02
    )


@pytest.mark.parametrize("seed", [1])
async def test_cancelled_anywhere_it_finds_the_same(backend: Backend, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    longest_s, step = (0.12, 30) if backend.kafka is None else (1.5, 110)
    waiting = entries(storm(seed))
    async with backend.open() as log:
        while waiting or not await at_the_end(log):
            batch, waiting = waiting[:step], waiting[step:]
            await log.append(batch)
            running = asyncio.ensure_future(role(log).run(Pulse("county rules")))
            # The last life is long enough to commit what leads to nothing.
            await asyncio.sleep(source.uniform(0.005, longest_s) if waiting else longest_s + 1.0)
            running.cancel()
            await asyncio.wait([running], timeout=5)
        found = await findings(log)
    expected = judged(RULES, storm(seed))
    assert len(expected) > 20
    assert found == in_order(expected)


@asynccontextmanager
async def replica(backend: Backend) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of the role, killed at the end if it still lives."""
    command = (sys.executable, "-m", "tests.services.rules.county_replica")
    process = await asyncio.create_subprocess_exec(
        *command, msgspec.json.encode(backend).decode(), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_one_of_two_replicas_killed_at_any_moment(backend: Backend) -> None:
    source = random.Random(3)  # noqa: S311 - a test
    waiting = entries(storm(3))
    async with backend.open() as log, replica(backend) as survivor:
        await says(survivor, "running")
        for _ in range(2):
            async with replica(backend) as casualty:
                await says(casualty, "running")
                share, waiting = waiting[:100], waiting[100:]
                for entry in share:
                    await log.append([entry])
                await asyncio.sleep(source.uniform(0.0, 1.0))
        await log.append(waiting)
        await until(lambda: at_the_end(log), timeout_s=60)
        assert await findings(log) == in_order(judged(RULES, storm(3)))


async def test_what_is_no_signal_is_passed_over(backend: Backend) -> None:
    good = entries([level(0, "slope", 1, RED), level(40, "slope", 2, RED)])
    bad = Entry(SIGNALS, COUNTY_KEY, b"not a signal", at(20))
    async with backend.open() as log:
        await log.append([good[0], bad, good[1]])
        running = asyncio.ensure_future(role(log).run(Pulse("county rules")))
        await until(lambda: at_the_end(log))
        running.cancel()
        assert told(await findings(log))[0] == (30, "held", "S-1", RED)


class Hand:
    """A clock whose hands the test sets."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def observe(self, event_time: datetime) -> None:
        pass


async def test_it_lets_time_pass_and_a_restart_finds_the_same_in_the_log(backend: Backend) -> None:
    clock = Hand(at(0))
    work = CountyWork(lambda: RULES, lambda: COUNTY)

    def live(log: Log) -> asyncio.Future[None]:
        rules = CountyRules(log, work, clock, ticks=True, advance_every_s=0.02)
        return asyncio.ensure_future(rules.run(Pulse("county rules")))

    async def judged_up_to(log: Log, number: int) -> bool:
        return (await log.ends(SIGNALS))[0] == number and await at_the_end(log)

    async with backend.open() as log:
        running = live(log)
        await until(lambda: judged_up_to(log, 1))
        await log.append(entries([level(0, "slope", 1, RED)]))
        clock.time = at(29.5)
        await until(lambda: judged_up_to(log, 3))
        assert sum((await log.ends(FINDINGS)).values()) == 0
        clock.time = at(30)
        await until(lambda: judged_up_to(log, 4))
        running.cancel()
        await asyncio.wait([running])
        clock.time = at(40)
        running = live(log)
        await until(lambda: judged_up_to(log, 5))
        running.cancel()
        found, signals = await findings(log), await stored(log, SIGNALS)
    assert told(found) == [(30, "held", "S-1", RED), (30, "mixed", "S-1", BLUE)]
    said = [wire.SIGNAL.decode(value) for value in signals]
    assert found == in_order(judged(RULES, said))
    assert sorted(time_of(one) for one in said) == [at(0), at(0), at(29.5), at(30), at(40)]


async def test_a_tick_comes_when_something_is_due_and_every_minute(dsn: str) -> None:
    """By asking the role itself, without waiting for a wall."""
    clock = Hand(at(0))
    work = CountyWork(lambda: RULES, lambda: COUNTY)
    async with Backend(dsn=dsn).open() as log:
        rules = CountyRules(log, work, clock, ticks=True)
        state = CountyState()

        async def looked(minute: float) -> float | None:
            """Seconds until it wants to look again; None where it appended a tick, which is judged."""
            clock.time, before = at(minute), (await log.ends(SIGNALS))[0]
            again_s = await rules._tick([state])
            if (await log.ends(SIGNALS))[0] == before:
                return again_s
            work.judgement().judge(state, Tick(clock.time))
            return None

        assert await looked(0) is None
        assert await looked(0.25) == 45.0
        assert await looked(1) is None
        work.judgement().judge(state, level(1, "slope", 1, RED))
        for minute in range(2, 31):
            assert await looked(minute) is None
        clock.time = at(30.5)
        work.judgement().judge(state, level(0.75, "slope", 2, RED))
        assert await looked(30.5) == pytest.approx(15.0)
        assert await looked(30.75) is None
        assert await rules._tick([]) > 1.0
    assert timedelta(minutes=1) == TICK_EVERY


def test_another_catalogue_or_county_is_taken_up_with_the_next_signal() -> None:
    now = [RULES]
    work = CountyWork(lambda: now[0], lambda: COUNTY)
    first = work.judgement()
    assert work.judgement() is first
    now[0] = catalogue(rule("other", (RED, every())))
    assert work.judgement() is not first
