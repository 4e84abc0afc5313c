"""Readings a second through MQTT, log, rules and store, with nothing lost; then what an alert takes at half that rate.

The full stack (Mosquitto, Apache Kafka, PostgreSQL, each role a process), beside it in the same run the program
embedded in one process, and a bare loop of the same libraries without judgement. A run is over when the last reading
is in the store and judged; then the store is compared with what was sent, station by station.

    python -m benchmarks.throughput [--readings 60000] [--runs 3] [--alerts 300]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.county import write_county
from benchmarks.load import EVERY, Plan, in_process_of_its_own
from benchmarks.machine import closing_line, spread
from benchmarks.stack import Meter, real_servers
from benchmarks.systems import System, Tongluo, bare_loop, embedded, full
from benchmarks.webhooks import Stopwatch, p99, publish_alarming, subscribed
from tongluo.clock import wall_now

STATIONS = 1000
# One reading in a message, and what a gateway of twenty gauges sends at once.
PAYLOADS = (1, 20)
ALERTS_PER_S = 10.0
_LOOK_EVERY_S = 0.1
_DONE_WITHIN_S = 180.0


class Outcome(msgspec.Struct, frozen=True):
    """One run: readings a second until all was done, what the parts took, and how long after the last PUBACK it was."""

    rate: float
    publish_rate: float
    cpu_s: dict[str, float]
    behind_s: float


class Loadable(Protocol):
    """Where a load goes: a broker, and the root of its topics."""

    @property
    def broker(self) -> tuple[str, int]: ...

    @property
    def root(self) -> str: ...


class Calendar:
    """Hands out stretches of event time, each after the one before, so that every run is news to every system."""

    def __init__(self, stations: int) -> None:
        self._stations = stations
        self._next = wall_now().replace(microsecond=0) - timedelta(days=40)

    def plan(self, system: Loadable, readings: int, per_message: int, rate: float = 0.0) -> Plan:
        host, port = system.broker
        steps = max(1, round(readings / self._stations))
        plan = Plan(host, port, self._stations, steps, self._next, per_message, root=system.root, rate=rate)
        self._next += steps * EVERY
        return plan


async def run(system: System, plan: Plan) -> Outcome:
    """Put the load on and wait until all of it is done. Exits when something is lost or there twice."""
    meter = Meter(system.pids)
    async with asyncio.TaskGroup() as group:
        followed = group.create_task(_followed(system, plan))
        published = await in_process_of_its_own(plan)
    last_s, cpu_s = await followed, meter.read()
    if faults := await system.faults(plan):
        raise SystemExit(f"{system.name}: " + "; ".join(faults[:5]))
    return Outcome(
        rate=plan.readings / (last_s - published.first_s),
        publish_rate=plan.readings / (published.last_s - published.first_s),
        cpu_s={**cpu_s, "load": round(published.cpu_s, 2)},
        behind_s=last_s - published.last_s,
    )


async def _followed(system: System, plan: Plan) -> float:
    """When all of the plan was done."""
    deadline = time.monotonic() + _DONE_WITHIN_S
    while not await system.done(plan):
        if time.monotonic() > deadline:
            faults = "; ".join((await system.faults(plan))[:5])
            raise SystemExit(f"{system.name}: not done after {_DONE_WITHIN_S:.0f} s: {faults}")
        await asyncio.sleep(_LOOK_EVERY_S)
    return time.monotonic()


async def alerts_under_load(system: Tongluo, plan: Plan, gauges: range) -> list[float]:
    """Milliseconds from publish to webhook of one alert for each of `gauges`, while the plan's readings go on."""
    watch = Stopwatch()
    async with subscribed(system.console, watch), asyncio.TaskGroup() as group:
        group.create_task(in_process_of_its_own(plan))
        await asyncio.sleep(2.0)  # the load has begun
        await publish_alarming(system.broker, watch, gauges, ALERTS_PER_S, wall_now().isoformat())
        await watch.all_heard(len(gauges))
    return watch.delays_ms()


def _say(system: System, per_message: int, outcome: Outcome) -> None:
    took = ", ".join(f"{name} {seconds:.1f}" for name, seconds in outcome.cpu_s.items())
    print(
        f"{system.name}, {per_message} a message: {outcome.rate:,.0f} readings/s "
        f"(published at {outcome.publish_rate:,.0f}/s, all done {outcome.behind_s:.1f} s later); "
        f"processor seconds: {took}",
        flush=True,
    )


async def bench(readings: int, runs: int, alerts: int) -> None:
    began, load_before = time.monotonic(), os.getloadavg()
    rates: dict[tuple[str, int], list[float]] = {}
    delays: dict[int, list[float]] = {}
    calendar = Calendar(STATIONS)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongluo-bench-")))
        write_county(folder / "county", STATIONS + alerts * len(PAYLOADS))
        servers = stack.enter_context(real_servers())
        ours = await stack.enter_async_context(full(servers, folder, folder / "county"))
        (folder / "embedded").mkdir()
        peers: list[System] = [
            await stack.enter_async_context(embedded(folder / "embedded", folder / "county")),
            await stack.enter_async_context(bare_loop(servers)),
        ]
        for _ in range(runs):
            for per_message in PAYLOADS:
                for system in (ours, *peers):
                    outcome = await run(system, calendar.plan(system, readings, per_message))
                    rates.setdefault((system.name, per_message), []).append(outcome.rate)
                    _say(system, per_message, outcome)
        for nth, per_message in enumerate(PAYLOADS):
            half = statistics.median(rates[ours.name, per_message]) / 2
            for_s = alerts / ALERTS_PER_S + 4.0
            plan = calendar.plan(ours, int(half * for_s), per_message, half)
            first = STATIONS + 1 + nth * alerts
            delays[per_message] = await alerts_under_load(ours, plan, range(first, first + alerts))
            print(
                f"at {half:,.0f} readings/s, {per_message} a message: publish to webhook median "
                f"{statistics.median(delays[per_message]):.0f} ms, p99 {p99(delays[per_message]):.0f} ms",
                flush=True,
            )
    _close(rates, delays, readings, (load_before, time.monotonic() - began))


def _close(
    rates: dict[tuple[str, int], list[float]],
    delays: dict[int, list[float]],
    readings: int,
    around: tuple[tuple[float, ...], float],
) -> None:
    full_rates = {k: statistics.median(rates["full stack", k]) for k in PAYLOADS}
    others = sorted({name for name, _ in rates} - {"full stack"})
    closing_line(
        name="readings_per_second",
        value=round(full_rates[1]),
        unit="1/s",
        spread=spread(rates["full stack", 1]),
        twenty_a_message=spread(rates["full stack", 20]),
        readings_per_run=readings,
        lost=0,
        publish_to_webhook_ms={
            f"{k} a message": {
                "readings_per_s": round(full_rates[k] / 2),
                "median": round(statistics.median(delays[k])),
                "p99": round(p99(delays[k])),
                "alerts": len(delays[k]),
            }
            for k in PAYLOADS
        },
        peers={name: {f"{k} a message": spread(rates[name, k]) for k in PAYLOADS} for name in others},
        ratios={
            f"full stack over {name}, {k} a message": round(
                full_rates[k] / statistics.median(rates[name, k]), 2
            )
            for name in others
            for k in PAYLOADS
        },
        load_average_before=around[0][0],
        took_s=round(around[1]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get
    parser.add_argument("--readings", type=int, default=int(given("BENCH_READINGS", "60000")), help="a run")
    parser.add_argument("--runs", type=int, default=int(given("BENCH_RUNS", "3")))
    parser.add_argument("--alerts", type=int, default=int(given("BENCH_ALERTS", "300")))
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.readings, arguments.runs, arguments.alerts))


if __name__ == "__main__":
    main()
