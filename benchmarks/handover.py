"""How long a partition's state is nobody's: a rules process is killed, or stopped, and another takes over.

For 1,000, 10,000 and 100,000 stations, each with 24 hours of readings five minutes apart (288), and for every partition
the longest tail a snapshot may have. What is timed, in the successor: until Kafka gives it the partitions; until the
log has fenced the predecessor and told the committed position; until the state is read and decoded; until the tail is
judged again.

State follows from readings alone: they are judged by the shipped catalogue.

    python -m benchmarks.handover [--stations 1000 10000 100000] [--runs 3]
"""

import argparse
import asyncio
import os
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from time import monotonic

import msgspec

from benchmarks.backlog import batched, reading
from benchmarks.county import gateway_of, site_of, station_of
from benchmarks.load import EVERY, rain
from benchmarks.machine import closing_line, spread
from benchmarks.stack import Place, fresh_place, real_servers
from benchmarks.successor import TakenOver
from services.rules.catalogue import load, read_catalogue
from services.rules.runner import SNAPSHOT_EVERY
from services.rules.service import GROUP
from services.rules.stations.judge import StationJudge
from tongluo.log.kafka import open_kafka
from tongluo.log.port import Assigned, Entry, Log, Snapshot
from tongluo.reading import Reading
from tongluo.readings import Readings, Series, microseconds
from tongluo.topics import READINGS

START = datetime(2026, 7, 1, tzinfo=UTC)
STEPS = 288
_WITHIN_S = 120.0


class Times(msgspec.Struct, frozen=True):
    """Seconds of one hand-over."""

    assigned: float
    fenced: float
    restored: float
    tail: float

    @property
    def total(self) -> float:
        return self.assigned + self.fenced + self.restored + self.tail


def state(stations: list[int]) -> bytes:
    """A partition's state after a day of readings of these stations, as the rules role writes it."""
    judge = StationJudge(read_catalogue(load()), None)
    series = tuple(Series(station_of(n), "rain", site_of(n), gateway_of(n)) for n in stations)
    for step in range(STEPS):
        now = microseconds(START + step * EVERY)
        values = [rain(number, step) for number in stations]
        if judge.judge(Readings(series, list(range(len(series))), [now] * len(series), values)).findings:
            raise AssertionError("a drizzle raises nothing")
    return judge.pack()


async def commit_states(log: Log, stations: int) -> None:
    """As a rules process that has judged a day would have: one snapshot in every partition."""
    mine: dict[int, list[int]] = {}
    for number in range(1, stations + 1):
        mine.setdefault(READINGS.partition_of(site_of(number)), []).append(number)
    async with log.join(GROUP, READINGS) as consumer, asyncio.timeout(_WITHIN_S):
        while not isinstance(event := await consumer.next(timeout_s=1.0), Assigned):
            pass
        for partition in event.partitions:
            await consumer.commit(partition, 0, (), Snapshot(0, state(mine.get(partition, []))))


def tail(stations: int) -> list[Entry]:
    """The most readings of every partition that may follow its snapshot."""
    left = dict.fromkeys(range(READINGS.partitions), SNAPSHOT_EVERY - 1)
    found: list[Reading] = []
    step = STEPS
    while any(left.values()):
        for number in range(1, stations + 1):
            partition = READINGS.partition_of(site_of(number))
            if left[partition]:
                left[partition] -= 1
                found.append(reading(number, START, step))
        step += 1
    return list(batched(found))


@asynccontextmanager
async def waiting(place: Place) -> AsyncIterator[Process]:
    """A successor that has opened the log and waits for its turn."""
    address = f"kafka://{place.kafka.bootstrap}/{place.kafka.namespace}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.successor", address, stdin=PIPE, stdout=PIPE
    )
    try:
        await _line(process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: Process) -> bytes:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    async with asyncio.timeout(_WITHIN_S):
        said = await process.stdout.readline()
    if not said:
        raise SystemExit("a rules process has ended by itself")
    return said


async def take_over(process: Process) -> TakenOver:
    """Let it join; returns when it is ready to judge what is new."""
    if process.stdin is None:
        raise AssertionError("the process was started with a pipe")
    process.stdin.write(b"go\n")
    return msgspec.json.decode(await _line(process), type=TakenOver)


async def hand_over(place: Place, owner: Process, successor: Process, how: str) -> tuple[Times, TakenOver]:
    began_s = monotonic()
    owner.kill() if how == "killed" else owner.terminate()
    noted = await take_over(successor)
    await owner.wait()
    times = Times(
        noted.assigned_s - began_s,
        noted.told_s - noted.assigned_s,
        noted.restored_s - noted.told_s,
        noted.ready_s - noted.restored_s,
    )
    return times, noted


async def judged(log: Log) -> None:
    """Wait until all of the log is judged and committed."""
    async with asyncio.timeout(_WITHIN_S):
        # Kafka tells nobody: a look now and then.
        while await log.positions(GROUP, READINGS) != await log.ends(READINGS):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def measure(place: Place, stations: int, runs: int) -> dict[str, list[tuple[Times, TakenOver]]]:
    """Hand the state of so many stations on, from process to process, killed and stopped in turn."""
    found: dict[str, list[tuple[Times, TakenOver]]] = {"killed": [], "stopped": []}
    async with AsyncExitStack() as stack, open_kafka(place.kafka) as log:
        await commit_states(log, stations)
        owner = await stack.enter_async_context(waiting(place))
        await take_over(owner)
        await log.append(tail(stations))
        await judged(log)
        for how in ("killed", "stopped") * runs:
            successor = await stack.enter_async_context(waiting(place))
            times, noted = await hand_over(place, owner, successor, how)
            found[how].append((times, noted))
            print(
                f"{stations:,} stations, owner {how}: {times.assigned:.2f} s until assigned, then fenced "
                f"{times.fenced:.2f} + restored {times.restored:.2f} (reading {noted.reading_s:.2f}) + tail of "
                f"{noted.tail:,} {times.tail:.2f}: ready after {times.total:.2f} s; "
                f"{noted.snapshot_bytes / 2**20:.1f} MiB of state, {noted.memory_mib} MiB of memory",
                flush=True,
            )
            owner = successor
    return found


def _figures(measured: list[tuple[Times, TakenOver]]) -> dict[str, object]:
    return {
        "ready_s": spread([times.total for times, _ in measured]),
        "until_assigned_s": spread([times.assigned for times, _ in measured]),
        "fenced_s": spread([times.fenced for times, _ in measured]),
        "restored_s": spread([times.restored for times, _ in measured]),
        "tail_s": spread([times.tail for times, _ in measured]),
        "state_mib": round(measured[0][1].snapshot_bytes / 2**20, 1),
        "tail_readings": measured[0][1].tail,
        "memory_mib": max(noted.memory_mib for _, noted in measured),
    }


async def bench(sizes: list[int], runs: int) -> None:
    load_before = os.getloadavg()[0]
    found = {}
    with real_servers() as servers:
        for stations in sizes:
            async with fresh_place(servers) as place:
                found[stations] = await measure(place, stations, runs)
    largest = max(sizes)
    killed = [times.total for times, _ in found[largest]["killed"]]
    closing_line(
        name=f"handover_{largest}_stations_killed",
        value=round(statistics.median(killed), 2),
        unit="s",
        spread=spread(killed),
        peers={
            f"{stations} stations, {how}": _figures(measured)
            for stations, by_how in found.items()
            for how, measured in by_how.items()
        },
        ratios={
            f"{stations} over {min(sizes)} stations, from assigned to ready": round(
                _afterwards(by_how["killed"]) / _afterwards(found[min(sizes)]["killed"]), 2
            )
            for stations, by_how in found.items()
        },
        load_average_before=load_before,
    )


def _afterwards(measured: list[tuple[Times, TakenOver]]) -> float:
    return statistics.median(times.total - times.assigned for times, _ in measured)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get
    stations = [int(words) for words in given("BENCH_STATIONS", "1000 10000 100000").split()]
    parser.add_argument("--stations", type=int, nargs="+", default=stations)
    parser.add_argument("--runs", type=int, default=int(given("BENCH_RUNS", "3")))
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.stations, arguments.runs))


if __name__ == "__main__":
    main()
