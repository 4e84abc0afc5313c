"""Mosquitto to Kafka: what one ingest process takes, acknowledging after the log; beside it bridges that only pass on.

For messages of one reading and of twenty, two ways: as it comes (the load publishes while the client takes), and
drained (the client stands still while all is published, so that afterwards it has the cores to itself, the broker and
Kafka). A run is over when nothing more arrives in Kafka; then everything there is read again and compared with what was
published, reading by reading: exactly once from ingest, at least once from a peer.

Ingest decodes, places and judges the quality of every reading and puts each site's in order; the peers write payloads
as they came. Which peers can be had depends on what is installed: `deploy/bootstrap bench` installs them.

    python -m benchmarks.ingest [--readings 60000] [--twenties 300000] [--runs 3]
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.bridges import NEEDS, missing
from benchmarks.county import write_county
from benchmarks.load import Plan, in_process_of_its_own
from benchmarks.machine import closing_line, spread
from benchmarks.stack import Meter, Place, Servers, fresh_place, pid_of, real_servers, role_processes
from benchmarks.systems import NOTHING_IS_LATE
from benchmarks.throughput import PAYLOADS, STATIONS, Calendar
from tongluo import wire
from tongluo.clock import milliseconds
from tongluo.topics import READINGS

OURS = "ingest"
WAYS = ("as it comes", "drained")
AIM = {1: 20_000, 20: 100_000}
_QUIET_S = 1.5
_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.03


class Bridge(msgspec.Struct, frozen=True):
    """A process between broker and log. `pids` names it and the servers."""

    name: str
    broker: tuple[str, int]
    root: str
    place: Place
    pid: int
    pids: dict[str, int]


class Outcome(msgspec.Struct, frozen=True):
    """One run: seconds from the first message (drained: from the start of taking) to the last in Kafka."""

    readings: int
    took_s: float
    cpu_s: dict[str, float]

    @property
    def rate(self) -> float:
        return self.readings / self.took_s

    @property
    def us_a_reading(self) -> float:
        """Processor time of the client alone."""
        return 1e6 * self.cpu_s["client"] / self.readings

    def busy(self) -> dict[str, float]:
        """How much of one core each part had."""
        return {name: round(seconds / self.took_s, 2) for name, seconds in self.cpu_s.items()}


class Topic:
    """The topic under measurement, looked at from outside."""

    def __init__(self, place: Place, reader: AIOKafkaConsumer) -> None:
        self._reader = reader
        name = place.kafka.named(READINGS.name)
        self._partitions = [TopicPartition(name, n) for n in range(READINGS.partitions)]

    async def ends(self) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self._reader.end_offsets(self._partitions)
        return found

    async def values(self, begin: Mapping[TopicPartition, int]) -> AsyncIterator[bytes]:
        """Every record since."""
        ends = await self.ends()
        wanted = {place: end for place, end in ends.items() if end > begin[place]}
        self._reader.assign(list(wanted))
        for place in wanted:
            self._reader.seek(place, begin[place])
        while wanted:
            records = await self._reader.getmany(timeout_ms=500)
            for place, several in records.items():
                for record in several:
                    yield record.value
                if several and several[-1].offset + 1 >= wanted.get(place, 0):
                    wanted.pop(place, None)


async def run(bridge: Bridge, topic: Topic, plan: Plan, way: str) -> Outcome:
    """Put the load on, wait until nothing more arrives, and look at what did. Exits when something is missing."""
    before = await topic.ends()
    if way == "drained":
        os.kill(bridge.pid, signal.SIGSTOP)
        try:
            await in_process_of_its_own(plan)
        finally:
            os.kill(bridge.pid, signal.SIGCONT)
        first_s, load_s, meter = time.monotonic(), 0.0, Meter(bridge.pids)
        last_s, cpu_s = await _settled(bridge, topic, before, meter, plan)
    else:
        meter = Meter(bridge.pids)
        async with asyncio.TaskGroup() as group:
            load = group.create_task(in_process_of_its_own(plan))
            last_s, cpu_s = await _settled(bridge, topic, before, meter, plan)
        first_s, load_s = (await load).first_s, (await load).cpu_s
    return Outcome(plan.readings, last_s - first_s, {**cpu_s, "load": round(load_s, 2)})


async def _settled(
    bridge: Bridge, topic: Topic, before: Mapping[TopicPartition, int], meter: Meter, plan: Plan
) -> tuple[float, dict[str, float]]:
    """When the last record came, and the processor time until then. Exits when something stays missing."""
    ends, changed_s, cpu_s = dict(before), 0.0, meter.read()
    deadline = time.monotonic() + _WITHIN_S
    looked_s = 0.0
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        found, now_s = await topic.ends(), time.monotonic()
        if found != ends:
            ends, changed_s, cpu_s = found, now_s, meter.read()
        quiet = now_s - changed_s > _QUIET_S
        # A pause is no end: what is there is looked at once after every pause.
        if (changed_s > looked_s and quiet) or now_s > deadline:
            looked_s = changed_s
            faults = await _faults(bridge, topic, before, plan)
            if not faults:
                return changed_s, cpu_s
            if now_s > deadline:
                raise SystemExit(f"{bridge.name}: " + "; ".join(faults))


async def _faults(
    bridge: Bridge, topic: Topic, before: Mapping[TopicPartition, int], plan: Plan
) -> list[str]:
    count, distinct = 0, set[tuple[str, int]]()
    async for value in topic.values(before):
        found = _ours(value) if bridge.name == OURS else _payload(value)
        count += len(found)
        distinct.update(found)
    first, ends = milliseconds(plan.first), milliseconds(plan.ends)
    strange = sum(not first <= at < ends for _, at in distinct)
    faults = []
    if len(distinct) != plan.readings or strange:
        faults.append(f"Kafka holds {len(distinct)} readings of {plan.readings}, {strange} of them strange")
    if bridge.name == OURS and count != plan.readings:
        faults.append(f"it holds {count - len(distinct)} of them twice")
    return faults


def _ours(value: bytes) -> list[tuple[str, int]]:
    return [(one.station, milliseconds(one.time)) for one in wire.READINGS.decode(value).each()]


class _Sent(msgspec.Struct):
    station: str
    time: datetime


_sent = msgspec.json.Decoder(list[_Sent])


def _payload(value: bytes) -> list[tuple[str, int]]:
    several = value if value.startswith(b"[") else b"[" + value + b"]"
    return [(one.station, milliseconds(one.time)) for one in _sent.decode(several)]


def peak_mib(pid: int) -> float:
    """The most memory a process has held: its high-water mark, where the system keeps one."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20


@asynccontextmanager
async def ours(servers: Servers, folder: Path) -> AsyncIterator[Bridge]:
    async with fresh_place(servers) as place:
        environment = place.environment(TONGLUO_COUNTY=str(folder / "county"), **NOTHING_IS_LATE)
        async with role_processes(folder, {OURS: "ingest"}, environment) as programs:
            pid = pid_of(programs[OURS])
            yield Bridge(OURS, servers.broker, "tongluo/v1", place, pid, _pids(servers, pid))


@asynccontextmanager
async def peer(servers: Servers, name: str) -> AsyncIterator[Bridge]:
    async with fresh_place(servers) as place:
        host, port = servers.broker
        root = f"{name}/v1"
        words = (
            name,
            host,
            str(port),
            place.kafka.bootstrap,
            place.kafka.named(READINGS.name),
            root,
            place.name,
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.bridges", *words, stdout=asyncio.subprocess.PIPE
        )
        try:
            if process.stdout is None or not await process.stdout.readline():
                raise SystemExit(f"{name} did not start")
            yield Bridge(name, servers.broker, root, place, process.pid, _pids(servers, process.pid))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _pids(servers: Servers, client: int) -> dict[str, int]:
    return {"client": client, "mosquitto": servers.pids["mosquitto"], "kafka": servers.pids["kafka"]}


@asynccontextmanager
async def watched(bridge: Bridge) -> AsyncIterator[Topic]:
    reader = AIOKafkaConsumer(bootstrap_servers=bridge.place.kafka.bootstrap, enable_auto_commit=False)
    await reader.start()
    try:
        yield Topic(bridge.place, reader)
    finally:
        await reader.stop()


Measured = dict[tuple[str, str, int], list[Outcome]]


def _say(bridge: Bridge, way: str, per: int, outcome: Outcome) -> None:
    parts = ", ".join(
        f"{name} {seconds:.2f} ({outcome.busy()[name]:.0%})" for name, seconds in outcome.cpu_s.items()
    )
    print(
        f"{bridge.name}, {way}, {per} a message: {outcome.rate:,.0f} readings/s, {outcome.rate / per:,.0f} messages/s, "
        f"{outcome.us_a_reading:.1f} us of the client a reading; processor seconds (of a core): {parts}; "
        f"client's most memory {peak_mib(bridge.pid):.0f} MiB",
        flush=True,
    )


async def bench(sizes: Mapping[int, int], runs: int) -> None:
    load_before = os.getloadavg()[0]
    measured: Measured = {}
    gone = {name: why for name in NEEDS if (why := missing(name))}
    for name, why in gone.items():
        print(f"missing: {name}: {why}", flush=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongluo-bench-")))
        write_county(folder / "county", STATIONS)
        servers = stack.enter_context(real_servers())
        bridges = [await stack.enter_async_context(ours(servers, folder))]
        bridges += [
            await stack.enter_async_context(peer(servers, name)) for name in NEEDS if name not in gone
        ]
        topics = {one.name: await stack.enter_async_context(watched(one)) for one in bridges}
        calendar = Calendar(STATIONS)
        for _ in range(runs):
            for per, readings in sizes.items():
                for way in WAYS:
                    for bridge in bridges:
                        plan = calendar.plan(bridge, readings, per)
                        outcome = await run(bridge, topics[bridge.name], plan, way)
                        measured.setdefault((bridge.name, way, per), []).append(outcome)
                        _say(bridge, way, per, outcome)
        memory = {bridge.name: round(peak_mib(bridge.pid)) for bridge in bridges}
    _close(measured, gone, memory, load_before)


def _close(
    measured: Measured, gone: Mapping[str, str], memory: Mapping[str, int], load_before: float
) -> None:
    middle = {key: statistics.median(one.rate for one in several) for key, several in measured.items()}
    names = sorted({name for name, _, _ in measured} - {OURS})
    closing_line(
        name="ingest_readings_per_second_one_process",
        value=round(middle[OURS, WAYS[0], 1]),
        unit="1/s",
        spread=spread([one.rate for one in measured[OURS, WAYS[0], 1]]),
        ours={
            f"{way}, {per} a message": _figures(measured[OURS, way, per]) for way in WAYS for per in PAYLOADS
        },
        aim_readings_per_s={f"{per} a message": aim for per, aim in AIM.items()},
        peak_memory_mib=memory,
        lost=0,
        peers={
            name: {
                f"{way}, {per} a message": _figures(measured[name, way, per])
                for way in WAYS
                for per in PAYLOADS
            }
            for name in names
        },
        missing=gone,
        ratios={
            f"ingest over {name}, {way}, {per} a message": round(
                middle[OURS, way, per] / middle[name, way, per], 2
            )
            for name in names
            for way in WAYS
            for per in PAYLOADS
        },
        load_average_before=load_before,
    )


def _figures(several: list[Outcome]) -> dict[str, Any]:
    middle = statistics.median_low([one.rate for one in several])
    typical = next(one for one in several if one.rate == middle)
    return {
        "readings_per_s": spread([one.rate for one in several]),
        "client_us_a_reading": round(statistics.median(one.us_a_reading for one in several), 1),
        "busy_cores": typical.busy(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get
    parser.add_argument(
        "--readings", type=int, default=int(given("BENCH_READINGS", "60000")), help="a run, one a message"
    )
    parser.add_argument(
        "--twenties", type=int, default=int(given("BENCH_TWENTIES", "300000")), help="a run, twenty a message"
    )
    parser.add_argument("--runs", type=int, default=int(given("BENCH_RUNS", "3")))
    arguments = parser.parse_args()
    one, twenty = PAYLOADS
    asyncio.run(bench({one: arguments.readings, twenty: arguments.twenties}, arguments.runs))


if __name__ == "__main__":
    main()
